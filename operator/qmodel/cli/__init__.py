"""The command line, also as `kubectl qmodel`."""
