{
  description = "From a pinned LeWorldModel checkpoint to sealed, reproducible evidence";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      inherit (nixpkgs) lib;
      project = (lib.importTOML ./pyproject.toml).project;

      # "moto[s3]>=5.1,<6" is moto; names are written as nixpkgs writes them, as the package index compares them.
      nameOf =
        requirement:
        builtins.replaceStrings [ "." "_" ] [ "-" "-" ] (
          lib.toLower (builtins.head (builtins.match "([A-Za-z0-9._-]+).*" requirement))
        );
      extras = with project.optional-dependencies; pipeline ++ data ++ s3 ++ tui ++ dev;
      base = map nameOf project.dependencies;
      # Programs in nixpkgs, not modules of Python.
      programs = [
        "ruff"
        "uv"
        "snakefmt"
      ];
      modules = lib.subtractLists programs (base ++ map nameOf extras);

      # What nixpkgs lacks, or has in a version that pyproject.toml does not admit.
      inline = pkgs: ps: {
        # Published wheels: nixpkgs builds an older version, without the chunk interface that the renderer uses.
        rerun-sdk = ps.buildPythonPackage rec {
          pname = "rerun_sdk";
          version = "0.41.0";
          format = "wheel";
          src = pkgs.fetchPypi {
            inherit pname version format;
            dist = "cp311";
            python = "cp311";
            abi = "abi3";
            inherit (wheels.${pkgs.stdenv.hostPlatform.system}) platform hash;
          };
          nativeBuildInputs = lib.optionals pkgs.stdenv.hostPlatform.isLinux [ pkgs.autoPatchelfHook ];
          buildInputs = lib.optionals pkgs.stdenv.hostPlatform.isLinux [
            pkgs.stdenv.cc.cc.lib
            pkgs.udev
          ];
          dependencies = with ps; [
            attrs
            numpy
            pillow
            psutil
            pyarrow
            typing-extensions
          ];
        };
      };
      wheels = {
        x86_64-linux.platform = "manylinux_2_28_x86_64";
        x86_64-linux.hash = "sha256-3mXjt3vpCe3F+yOD/QSvc6kw9vCFwqA/0zyWUGH/gV4=";
        aarch64-linux.platform = "manylinux_2_28_aarch64";
        aarch64-linux.hash = "sha256-kuV0glVuwIlymcwUxxyvZ+llOe8YNxG9ISGfs4rDkUQ=";
        aarch64-darwin.platform = "macosx_11_0_arm64";
        aarch64-darwin.hash = "sha256-1/rjQ91MOykuG8JDE0x2N+AzM6hqHZib8aMv8Rxj4J0=";
      };

      # Everything of one package set: the environment, the shell around it, the program and the checks.
      parts =
        pkgs:
        let
          # Not pkgs.snakemake: there, the jobs' Python lacks the other packages.
          environment = pkgs.python313.withPackages (
            ps: map (name: (ps // inline pkgs ps).${name} or (throw "pyproject.toml: nixpkgs has no ${name}")) modules
          );
          tools = [
            environment
            pkgs.git
            pkgs.openssh
          ]
          ++ map (name: pkgs.${name}) programs;
          # A run's manifest names the environment; no key does.
          variables = ''
            export LEWM_EVIDENCE_ENV=${environment} PYTHONPATH="$PWD/src"
          '';
          # The command on the sources of the checkout.
          command = pkgs.writeShellApplication {
            name = "lewm-evidence";
            runtimeInputs = [ environment ];
            text = ''exec python -m lewm_evidence.cli "$@"'';
          };
          check =
            name: script:
            pkgs.runCommand "lewm-evidence-${name}" { nativeBuildInputs = tools; } ''
              cp -r ${self} source
              chmod -R u+w source
              cd source
              ${variables}
              export HOME="$TMPDIR" OMP_NUM_THREADS=1
              ${script}
              touch $out
            '';
        in
        {
          shell =
            hook:
            pkgs.mkShell {
              packages = tools ++ [ command ];
              shellHook = variables + hook;
            };
          evidence = pkgs.writeShellApplication {
            name = "evidence";
            runtimeInputs = tools;
            text = variables + ''exec snakemake --cores 4 evidence "$@"'';
          };
          package = pkgs.python313.pkgs.buildPythonApplication {
            pname = project.name;
            inherit (project) version;
            pyproject = true;
            src = self;
            build-system = [ pkgs.python313.pkgs.hatchling ];
            dependencies = map (name: pkgs.python313.pkgs.${name}) base;
            pythonImportsCheck = [ "lewm_evidence" ];
          };
          checks = {
            tests = check "tests" "pytest -q -p no:cacheprovider tests/test_config.py tests/test_keys.py tests/planning tests/records";
            lint = check "lint" ''
              ruff check src tests
              ruff format --check src tests
              snakefmt --check Snakefile workflow/rules
            '';
            dag = check "dag" "snakemake --cores 1 --dry-run evidence";
          };
        };

      each = lib.genAttrs (builtins.attrNames wheels);
      cpu = each (system: parts (import nixpkgs { inherit system; }));
      cuda =
        system:
        parts (
          import nixpkgs {
            inherit system;
            config.allowUnfree = true;
            config.cudaSupport = true;
          }
        );
    in
    {
      packages = each (system: {
        default = cpu.${system}.package;
      });
      apps = each (system: rec {
        evidence = {
          type = "app";
          program = lib.getExe cpu.${system}.evidence;
          meta.description = "Run the whole pipeline in a checkout; words after -- go to Snakemake";
        };
        default = evidence;
      });
      devShells = each (
        system:
        {
          default = cpu.${system}.shell "";
        }
        // lib.optionalAttrs (lib.hasSuffix "linux" system) {
          # The driver's own library, where NixOS puts it.
          cuda = (cuda system).shell ''
            export LD_LIBRARY_PATH=/run/opengl-driver/lib''${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
          '';
        }
      );
      checks = each (system: cpu.${system}.checks);
      formatter = each (system: (import nixpkgs { inherit system; }).nixfmt-tree);
    };
}
