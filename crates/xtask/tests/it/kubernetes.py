"""Checks the manifests of a folder against the schemas of Kubernetes and prints them as one JSON list.

Usage: kubernetes.py FOLDER. Exits with 3 where the libraries are not installed. What no schema allows, misspelt members
included, ends the program with the file's name and the reason.
"""

import json
import pathlib
import sys

try:
    import kubernetes_validate
    import yaml
except ImportError as error:
    print(error)
    sys.exit(3)

documents = []
for path in sorted(pathlib.Path(sys.argv[1]).glob("*.yaml")):
    for document in yaml.safe_load_all(path.read_text()):
        try:
            kubernetes_validate.validate(document, "1.37", strict=True)
        except Exception as error:  # every reason is one to refuse the file
            first = (str(error).splitlines() or [""])[0]
            print(f"{path.name}: {type(error).__name__}: {first}")
            sys.exit(1)
        documents.append(document)
print(json.dumps(documents))
