"""What holds for every unit test."""

from hypothesis import settings

settings.register_profile("any-machine", deadline=None)  # others may use the cores meanwhile
settings.load_profile("any-machine")
