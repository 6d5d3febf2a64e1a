"""Generated examples may take their time."""

from hypothesis import settings

settings.register_profile("calm", deadline=None)  # a busy machine is no fault of the product
settings.load_profile("calm")
