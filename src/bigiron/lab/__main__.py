"""`python -m bigiron.lab`: the same commands as `bigiron lab`."""

from bigiron.lab.cli import lab

if __name__ == "__main__":
    lab(prog_name="python -m bigiron.lab")
