"""Print the JSON Schema of a result line."""

from __future__ import annotations

import json
import sys

from vultus.schema import result_schema

if __name__ == "__main__":
    sys.stdout.write(json.dumps(result_schema(), indent=2) + "\n")
