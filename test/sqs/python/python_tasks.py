"""Tasks that both languages have: here for Python, in python.test.ts for ptq. Each writes a line into a ledger."""
from taskqueue import RegisteredTask, queueable


def write(ledger, line):
    with open(ledger, "a", encoding="utf8") as file:
        file.write(line + "\n")


@queueable
def note(n, ledger, who=None):
    write(ledger, f"python: {n} from {who}")


class NoteTask(RegisteredTask):
    def __init__(self, n, ledger):
        super().__init__(n, ledger)

    def execute(self):
        write(self.ledger, f"python: {self.n} from a class")
