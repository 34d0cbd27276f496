"""This module is what pyproject.toml cannot say: the wheel brings a .pth file that chooses Node for jsii."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py


class BuildWithPth(build_py):
    """Copies the file beside the packages, where Python reads it when it starts."""

    def run(self) -> None:
        """Build, and add the file."""
        super().run()
        if not self.editable_mode:
            name = "mcpmesh_k8s_node.pth"
            self.copy_file(str(Path("constructs", name)), str(Path(self.build_lib, name)))


setup(cmdclass={"build_py": BuildWithPth})
