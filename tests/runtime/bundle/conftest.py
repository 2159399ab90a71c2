"""A signed bundle of tiny models, its public key, and its parts."""

from __future__ import annotations

from pathlib import Path

import pytest

import bundles
from vultus_export.bundle.archive import checksums, write_bundle
from vultus_export.bundle.contents import chosen_models, parts_of
from vultus_export.bundle.sbom import sbom_of


@pytest.fixture(scope="session")
def signed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a bundle signed by `bundles.KEY`."""
    folder = tmp_path_factory.mktemp("signed")
    sources = chosen_models(bundles.model_folder(folder / "models"))
    parts = parts_of(sources)
    parts["sbom.cdx.json"] = sbom_of(sources, checksums(parts))
    return write_bundle(folder / "signed.tar.zst", parts, bundles.KEY).file


@pytest.fixture(scope="session")
def public(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the public key file of `bundles.KEY`."""
    return bundles.public_key(tmp_path_factory.mktemp("key"))


@pytest.fixture
def parts(signed: Path) -> dict[str, bytes]:
    """Return the files of the signed bundle, to be changed."""
    return bundles.parts_in(signed)
