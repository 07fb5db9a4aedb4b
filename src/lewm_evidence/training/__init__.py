"""Training from scripted episodes: windows, measures of a latent space, resume points."""
