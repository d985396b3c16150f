#!/bin/sh
# `scripts/supply_chain.sh audit`: known holes in what is locked, asked of a service: says so and ends with 77 where it cannot be reached.
# `scripts/supply_chain.sh sbom`: what is locked as CycloneDX 1.6 in dist/sbom.cdx.json, validated; works without a network once the tool is there.
set -eu
cd "$(dirname "$0")/.."
AUDIT="pip-audit==2.10.1" SBOM="cyclonedx-bom==7.5.0"
tools=".venv/.supply-chain"
[ -x "$tools/bin/python" ] || "${PYTHON:-python3}" -m venv "$tools"
case "${1:-}" in
    audit)
        "$tools/bin/python" -m pip install --quiet "$AUDIT"
        for lock in requirements.lock requirements-dev.lock; do
            status=0
            "$tools/bin/pip-audit" --requirement "$lock" --require-hashes --disable-pip >"$tools/said" 2>&1 || status=$?
            if grep -q "could not be audited" "$tools/said"; then
                echo "audit: NOT DONE for $lock: the service that knows of holes cannot be reached, or does not know these packages"
                exit 77
            fi
            cat "$tools/said"
            [ "$status" = 0 ] || exit "$status"
        done
        ;;
    sbom)
        "$tools/bin/python" -m pip install --quiet "$SBOM"
        mkdir -p dist
        "$tools/bin/cyclonedx-py" requirements requirements.lock --pyproject pyproject.toml --mc-type application \
            --output-reproducible --of JSON --sv 1.6 --validate -o dist/sbom.cdx.json
        echo "sbom: dist/sbom.cdx.json"
        ;;
    *)
        echo "say audit or sbom" >&2
        exit 2
        ;;
esac
