"""The sha256 of every file of the checkpoints that ship in the package.

A table in source, not in data: it is part of the fetch stage's code, so another checkpoint gives another run key.
"""

EMBEDDED: dict[str, dict[str, str]] = {
    "pusht": {
        "config.json": "4ff6408dfae388560f222023d642f1a1572542942770a315a9d4781a6c35cb91",
        "model.safetensors": "dcd340eb9fa3f5fa5cb3d7fb7901cb99920f86cb46370bac5893c8c1a4569ff6",
        "normalization.json": "a9e2da979588f4189cba8372f78031a08ba114dc15e5da13abae84eb4c31c360",
        "provenance.json": "14974dcddccca448015e3e8cb94a59cce11ddab0391f86519309a1a089e4fe26",
        "training_manifest.json": "11f3afdbd035240dc194b29ccf84442dd97035283b04bf16912f7fd115e12928",
    },
    "tworoom": {
        "config.json": "44088a8ebc53d6d986c380b4553a975cc6d7334f5d88ea6fbc2b84d90873ca45",
        "model.safetensors": "2ded708f106a8fcf51659080437eeedc9ca3add7d9f5e7b9fa55856b5242923c",
        "normalization.json": "d5568f967cef341acb81d92c82849fa033e635e6250bcc43feacc5ac4c1ead77",
        "provenance.json": "c1c137c172d37d5f7fb9e154bb1133c5d1d6a3f215688005f596b8a3c858d8bd",
        "training_manifest.json": "02483aff4c4f01bbf717a801402a654c92867a26e956684327817399d97f9f13",
    },
}
