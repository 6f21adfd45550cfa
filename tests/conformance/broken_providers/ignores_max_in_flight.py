"""Never waits for an ack."""

from counting import Input


class Broken(Input):
    def has_room(self):
        return True


Broken().run()
