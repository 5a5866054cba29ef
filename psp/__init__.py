"""PSP: live media over onion-routed circuits (the library an app imports)."""

__version__ = "0.1.0"
