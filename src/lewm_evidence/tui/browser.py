"""The person's browser, never one that draws in the terminal that the report is in."""

import webbrowser

_IN_TERMINAL = {"www-browser", "links", "elinks", "lynx", "w3m"}


def browse(url: str) -> bool:
    """Opens `url` in the browser and says whether there is one."""
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    return getattr(browser, "basename", "") not in _IN_TERMINAL and browser.open(url)
