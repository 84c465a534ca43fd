"""The program that `child_processes.module_command` starts: it finds this package and runs one of its modules.

    python -P launcher.py FOLDER_OF_THE_PACKAGE MODULE ARGUMENT ...

The package is found by its folder and not through the search path: what lies beside it or in it cannot be imported under
a bare name such as `models`.
"""

from __future__ import annotations

import importlib.util
import os
import runpy
import sys


def main() -> None:
    """Runs the module as `__main__`."""
    folder, module, *arguments = sys.argv[1:]
    known = set(sys.path)
    more = os.environ.get("EDGEDEPLOY_SEARCH_PATH", "").split(os.pathsep)
    sys.path += [entry for entry in more if entry and entry not in known]
    spec = importlib.util.spec_from_file_location(
        "edgedeploy", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["edgedeploy"] = package
    spec.loader.exec_module(package)
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
