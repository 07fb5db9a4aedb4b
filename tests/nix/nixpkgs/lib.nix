# What of nixpkgs.lib our flake calls, with the same meaning.
let
  upper = [ "A" "B" "C" "D" "E" "F" "G" "H" "I" "J" "K" "L" "M" "N" "O" "P" "Q" "R" "S" "T" "U" "V" "W" "X" "Y" "Z" ];
  lower = [ "a" "b" "c" "d" "e" "f" "g" "h" "i" "j" "k" "l" "m" "n" "o" "p" "q" "r" "s" "t" "u" "v" "w" "x" "y" "z" ];
in
{
  genAttrs = names: value: builtins.listToAttrs (map (name: { inherit name; value = value name; }) names);
  getExe = package: "${package}/bin/${package.meta.mainProgram}";
  hasSuffix = suffix: text: builtins.match ".*${suffix}" text != null;
  importTOML = path: builtins.fromTOML (builtins.readFile path);
  optionalAttrs = wanted: set: if wanted then set else { };
  optionals = wanted: list: if wanted then list else [ ];
  subtractLists = unwanted: builtins.filter (item: !builtins.elem item unwanted);
  toLower = builtins.replaceStrings upper lower;
}
