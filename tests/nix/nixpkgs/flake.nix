{
  description = "A test double of nixpkgs: the few functions that our flake calls, over programs of this machine";

  outputs = _: rec {
    lib = import ./lib.nix;
    legacyPackages = lib.genAttrs [ "x86_64-linux" "aarch64-linux" "aarch64-darwin" ] (
      system: import ./. { inherit system; }
    );
  };
}
