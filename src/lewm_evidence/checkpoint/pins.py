"""The sha256 of every file of the checkpoints that ship in the package.

A table in source, not in data: it is part of the fetch stage's code, so another checkpoint gives another run key.
"""

EMBEDDED: dict[str, dict[str, str]] = {
    "pusht": {
        "MODEL_CARD.md": "ec89e85be3fd13390dfd5e87b01c27d026941d27191a37b3562e858820cce4e3",
        "config.json": "17dec567e0229ce0b8befeab3ad401bd9b201db9a2905d0814c0a39714eb7dce",
        "model.safetensors": "b74650fc224c5d7921255070f703e88f80d8d39b08795ade63c4b93e1ad4c91f",
        "normalization.json": "e3d1ed2b38568ac109416145e812f4c34fb4a99a1ada6e2c3f7239b21498528a",
        "provenance.json": "78a6e1c6f1137fef13f2199f8a938b007e96e26e16f978d6edad9198af4aeb5f",
        "training_manifest.json": "0ca14255cfb2da995a625016583b240c9297e26ee59764e3a3f680bf6b01552f",
    },
    "tworoom": {
        "MODEL_CARD.md": "ad3f0ac670d375308994c64bc90bbc495fceb5870aa5326b50f12b191280816c",
        "config.json": "44088a8ebc53d6d986c380b4553a975cc6d7334f5d88ea6fbc2b84d90873ca45",
        "model.safetensors": "2ded708f106a8fcf51659080437eeedc9ca3add7d9f5e7b9fa55856b5242923c",
        "normalization.json": "d5568f967cef341acb81d92c82849fa033e635e6250bcc43feacc5ac4c1ead77",
        "provenance.json": "c1c137c172d37d5f7fb9e154bb1133c5d1d6a3f215688005f596b8a3c858d8bd",
        "training_manifest.json": "02483aff4c4f01bbf717a801402a654c92867a26e956684327817399d97f9f13",
    },
}
