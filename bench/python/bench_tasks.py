"""The tasks; a module of their own, since a spawned process doesn't find what `__main__` registered."""
from taskqueue import queueable


@queueable
def noop(index):
    pass
