"""What can be wrong with a request to create, change or delete an entity. The texts begin as the service's do."""

__all__ = ["EntityError", "EntityExists", "EntityInvalid", "EntityMissing"]


class EntityError(Exception):
    """The request is refused; nothing has changed."""


class EntityMissing(EntityError):
    pass


class EntityExists(EntityError):
    pass


class EntityInvalid(EntityError):
    """A value is out of range, a name is not allowed, or a property can't change any more."""
