# Called as nixpkgs is. A "package" forwards to a program of this machine: host.json, written by the tests, says where
# the project's Python environment is. Builders run without a sandbox.
{
  system,
  config ? { },
}:
let
  lib = import ./lib.nix;
  venv = (builtins.fromJSON (builtins.readFile ./host.json)).venv;
  pathOf = packages: builtins.concatStringsSep ":" (map (package: "${package}/bin") packages ++ [ "/usr/bin" "/bin" ]);

  build =
    name: attributes: script:
    derivation (
      {
        inherit name system;
        builder = "/bin/bash";
        # A builder whose output ends before it does may be killed (NixOS/nix#2176), so something outlives it.
        args = [ "-c" "set -euo pipefail\n${script}\nsleep 0.3 &" ];
        outputs = [ "out" ];
        PATH = "/usr/bin:/bin";
      }
      // attributes
    );
  script = name: text: build name { inherit text; } ''
    mkdir -p $out/bin
    printf '#!/bin/bash\n%s\n' "$text" > $out/bin/${name}
    chmod +x $out/bin/${name}
  '' // { meta.mainProgram = name; };
  forward = name: program: script name ''exec ${program} "$@"'';

  # Names that were seen in nixpkgs' python-packages.nix.
  modules = lib.genAttrs (builtins.fromJSON (builtins.readFile ./python-packages.json)) (pname: { inherit pname; });
  pythonPackages = modules // {
    # Only evaluated, never fetched or built: the environment has this machine's package of that name.
    buildPythonPackage =
      { pname, version, format, src, nativeBuildInputs, buildInputs, dependencies }:
      builtins.seq (map (input: input.drvPath) ([ src ] ++ nativeBuildInputs ++ buildInputs)) {
        pname = builtins.replaceStrings [ "_" ] [ "-" ] pname;
      };
    buildPythonApplication =
      { pname, version, pyproject, src, build-system, dependencies, pythonImportsCheck }:
      build "${pname}-${version}" { } ''
        cp -r ${src} source
        chmod -R u+w source
        ${venv}/bin/python -m pip install --quiet --no-index --no-deps --no-build-isolation --target $out/lib ./source
        mkdir $out/bin
        printf '#!/bin/bash\nPYTHONPATH=%s/lib exec %s -m lewm_evidence.cli "$@"\n' $out ${venv}/bin/python > $out/bin/${pname}
        chmod +x $out/bin/${pname}
      '';
  };
in
{
  stdenv = {
    hostPlatform = {
      inherit system;
      isLinux = lib.hasSuffix "linux" system;
    };
    cc.cc.lib = build "libgcc" { } "mkdir $out";
  };
  autoPatchelfHook = build "auto-patchelf-hook" { } "mkdir $out";
  udev = build "udev" { } "mkdir $out";
  bashInteractive = forward "bash" "/bin/bash";
  git = forward "git" "/usr/bin/git";
  openssh = forward "ssh-keygen" "/usr/bin/ssh-keygen";
  ruff = forward "ruff" "${venv}/bin/ruff";
  uv = forward "uv" "${venv}/bin/uv";
  snakefmt = forward "snakefmt" "${venv}/bin/snakefmt";
  nixfmt-tree = script "treefmt" "exit 1";

  python313 = {
    pkgs = pythonPackages;
    # The commands of exactly these packages; one that is not installed here fails the build.
    withPackages =
      choose:
      build "python3-env" { names = map (package: package.pname) (choose pythonPackages); } ''
        ${venv}/bin/python ${./environment.py} $out $names
      '';
  };

  fetchPypi =
    { pname, version, format, dist, python, abi, platform, hash }:
    derivation {
      name = "${pname}-${version}-${python}-${abi}-${platform}.whl";
      inherit system;
      builder = "/bin/false";
      outputHash = hash;
      outputHashAlgo = "sha256";
    };

  runCommand =
    name: { nativeBuildInputs }: command:
    build name { PATH = pathOf nativeBuildInputs; } command;

  writeShellApplication =
    { name, runtimeInputs, text }:
    script name "set -euo pipefail\nexport PATH=${pathOf runtimeInputs}:$PATH\n${text}";

  mkShell =
    { packages, shellHook }:
    build "nix-shell" { inherit shellHook; PATH = pathOf packages; cuda = config.cudaSupport or false; } "touch $out";
}
