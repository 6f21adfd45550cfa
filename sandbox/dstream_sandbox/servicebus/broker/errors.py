"""Errors of requests to create, change or delete an entity. Their texts start like the service's."""

__all__ = ["EntityError", "EntityExists", "EntityInvalid", "EntityMissing"]


class EntityError(Exception):
    """The request is refused; nothing has changed."""


class EntityMissing(EntityError):
    pass


class EntityExists(EntityError):
    pass


class EntityInvalid(EntityError):
    """A value is out of range, a name is not allowed, or a property can no longer be changed."""
