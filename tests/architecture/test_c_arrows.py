"""Includes and declarations of the C library point the way docs/architecture.md says, every choice
over an enumeration is complete, and nothing is global and writable; each rule is also shown code
that breaks it."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from for_each import for_each

import nanobragg_hybrid as nb

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "csrc" / "src"
BINDING = ROOT / "csrc" / "binding"
HEADER = ROOT / "csrc" / "include" / "nbh" / "nbh.h"
PUBLIC = HEADER.read_text()

# Files of csrc/src by path without suffix.  A file may include its own header and files of earlier
# layers; files of one layer do not include each other.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset(
        {
            "constants",
            "error",
            "given",
            "text_number",
            "vec3",
            "fast/block",
            "fast/instruction_sets",
        }
    ),
    frozenset(
        {
            "allocate",
            "image_rules",
            "interpolation",
            "polarization",
            "polarization_frame",
            "random",
            "shapes",
            "fast/lanes",
            "fast/lattice_axis",
        }
    ),
    frozenset(
        {
            "crystal",
            "detector",
            "experiment",
            "images",
            "noise",
            "odd_pixels",
            "sampling",
            "sources",
            "structure_factors_text",
            "version",
            "fast/lane_bits",
            "fast/lattice_step",
            "fast/powers",
            "fast/profiles",
            "fast/single",
            "fast/sums_tile",
            "fast/tile",
        }
    ),
    frozenset({"fast/light_bounds"}),
    frozenset({"plan", "fast/light_lattice", "fast/scene_tile"}),
    frozenset(
        {
            "lattice_setup",
            "orientations",
            "scene_checks",
            "scene_light",
            "structure_factors",
            "subpixel",
            "work_items",
            "fast/amplitudes",
            "fast/coverage",
            "fast/factors",
            "fast/lattice",
            "fast/polarization_factors",
            "fast/scene_beams",
            "fast/step_formulas",
        }
    ),
    frozenset(
        {
            "pixel_block",
            "pixel_factors",
            "reflection_lights",
            "statistics",
            "trace_recorder",
            "fast/factor_steps",
            "fast/light_setup",
            "fast/scene_geometry",
            "fast/steps",
            "fast/sum_derivatives",
        }
    ),
    frozenset({"fast/gaussian_steps", "fast/gaussian_tiles"}),
    frozenset({"pixel", "fast/kernel", "fast/scene_factors", "fast/sums"}),
    frozenset({"fast/culled_steps", "fast/scene_backward", "fast/scene_lists"}),
    frozenset({"fast/culled", "fast/scene"}),
    frozenset(
        {
            "serial_states",
            "fast/culled_avx2",
            "fast/culled_avx512",
            "fast/culled_baseline",
            "fast/kernel_baseline",
            "fast/kernel_avx2",
            "fast/kernel_avx512",
            "fast/sums_baseline",
            "fast/sums_avx2",
            "fast/sums_avx512",
        }
    ),
    frozenset({"fast/sums_builds"}),
    frozenset(
        {"background", "lattice_sums", "reflections", "render", "scene", "trace", "fast/choice"}
    ),
    frozenset({"plan_create"}),
)
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)


def _layer(stem: str) -> int | None:
    return next((n for n, layer in enumerate(LAYERS) if stem in layer), None)


def broken_includes(name: str, text: str) -> list[str]:
    """One line for each include of csrc/src/`name` that the layers do not allow."""
    own_stem = name.rpartition(".")[0]
    own = _layer(own_stem)
    if own is None:
        return [f"{name}: {own_stem} is not in the table of layers"]
    problems = []
    for quote, included in INCLUDE.findall(text):
        if quote == "<" or included == "nbh/nbh.h":
            continue
        stem = included.rpartition(".")[0]
        layer = _layer(stem)
        if stem != own_stem and (layer is None or layer >= own):
            problems.append(f"{name}: {own_stem} may not include {included}")
    return problems


def broken_binding_includes(name: str, text: str, own_headers: set[str]) -> list[str]:
    """The binding sees the public header, system headers and its own files."""
    return [
        f"{name}: the binding may not include {included}"
        for quote, included in INCLUDE.findall(text)
        if quote == '"' and included != "nbh/nbh.h" and included not in own_headers
    ]


def without_comments_and_strings(text: str) -> str:
    """C text with comments and literals blanked; lines keep their numbers."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0])

    pattern = r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'"
    return re.sub(pattern, blank, text, flags=re.DOTALL)


def file_scope(text: str) -> list[tuple[str, bool]]:
    """What C text says outside of braces: (words of a declaration or a definition's head, whether a
    function's body follows)."""
    plain = without_comments_and_strings(text)
    plain = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", "", plain, flags=re.MULTILINE)
    plain = re.sub(r"extern\s*\{", "", plain)
    found = []
    depth, start = 0, 0
    head = ""
    for at, char in enumerate(plain):
        if char == "{":
            if depth == 0:
                head = " ".join(plain[start:at].split())
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0 and "(" in head and "=" not in head:
                found.append((head, True))
                start = at + 1
        elif char == ";" and depth == 0:
            found.append((" ".join(plain[start:at].split()), False))
            start = at + 1
    return found


STATIC_MACRO = re.compile(r"^\s*#\s*define\s+(\w+)\s+static\b", re.MULTILINE)


def functions(text: str, static_macros: set[str]) -> tuple[set[str], set[str]]:
    """Functions with external linkage that C text declares, and that it defines."""
    declared, defined = set(), set()
    for head, has_body in file_scope(text):
        plain = re.sub(r"__attribute__\s*\(\(.*?\)\)", "", head).partition("{")[0]
        name = re.search(r"(\w+)\s*\(", plain)
        words = set(re.findall(r"\w+", plain.partition("(")[0]))
        if name is None or "=" in plain or words & {"typedef", "static", *static_macros}:
            continue
        (defined if has_body else declared).add(name[1])
    return declared, defined


def broken_declarations(
    name: str, files: dict[str, str], public: set[str], static_macros: set[str]
) -> list[str]:
    """One line for each function of `name` that is declared or defined at the wrong place.

    `files`: every file of csrc/src by path.  A header declares what the .c file of the same name
    defines; what else a header has is static.  A .c file declares nothing for others, and defines
    what its header or the public one declares.
    """
    stem, _, suffix = name.rpartition(".")
    declared, defined = functions(files[name], static_macros)
    if suffix == "h":
        elsewhere = declared - functions(files.get(f"{stem}.c", ""), static_macros)[1]
        return [
            *(f"{name}: {function} is not defined in {stem}.c" for function in sorted(elsewhere)),
            *(f"{name}: {function} is defined here, not static" for function in sorted(defined)),
        ]
    known = public | functions(files.get(f"{stem}.h", ""), static_macros)[0]
    return [
        *(f"{name}: {function} is declared outside of a header" for function in sorted(declared)),
        *(f"{name}: {function} is in no header of its own" for function in sorted(defined - known)),
    ]


def choices(header: str) -> set[str]:
    """Enumerators of the enumerations that count from 0, not bits; success, NBH_OK, aside."""
    found: set[str] = set()
    for body in re.findall(r"\benum\s+\w+\s*\{(.*?)\}", header, re.DOTALL):
        values = re.findall(r"(\w+)\s*=\s*(\w+)", without_comments_and_strings(body))
        if [value for _, value in values] == [str(n) for n in range(len(values))]:
            found |= {name for name, _ in values}
    return found - {"NBH_OK"}


NUMBERED = re.findall(r"\bint32_t (\w+);\s*/\* nbh_\w+\b(?! bits)", PUBLIC)
"""Members of public structs that hold an enumerator as a number."""


def incomplete_choices(text: str, enumerators: set[str]) -> list[str]:
    """Comparisons with one of the enumerators, whose other side would go unnoticed when another one
    is added, the default of a switch, which takes what the compiler would ask for, and a switch
    over a number, of which the compiler knows no enumerators."""
    plain = without_comments_and_strings(text)
    operator, cast = r"(?:[=!]=|(?<![<>-])[<>]=?(?![<>]))", r"(?:\(\s*(?:\w+\s*\)\s*)?)?"
    compared = re.findall(rf"{operator}\s*{cast}(\w+)", plain)
    compared += re.findall(rf"(\w+)\s*\)?\s*{operator}", plain)
    found = [f"compares with {name}" for name in compared if name in enumerators]
    found += ["has a default"] * len(re.findall(r"\bdefault\b", plain))
    subjects = re.findall(r"\bswitch\s*\(((?:[^()]|\([^()]*\))*)\)", plain)
    for subject in subjects:
        member = re.search(r"(?:\.|->)\s*(\w+)\s*$", subject)
        to_int = re.match(r"\s*\(\s*(?:int|unsigned|\w+_t)\b", subject)
        is_number = member is not None and member[1] in NUMBERED and "(nbh_" not in subject
        if is_number or to_int:
            found.append(f"switches over the number {subject.strip()}")
    return found


# What the processor runs: asked once, as the answer takes long and is always the same.
WRITABLE = {("fast/instruction_sets.c", "static int sets_of_processor")}


def writable_globals(text: str) -> list[str]:
    """Declarations at file scope, or static ones inside functions, that are not constant."""
    plain = without_comments_and_strings(text)
    plain = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", "", plain, flags=re.MULTILINE)
    plain = re.sub(r"extern\s*\{", "", plain)
    found = []
    depth, start = 0, 0
    for at, char in enumerate(plain):
        if char == "{":
            if depth == 0 and "=" not in plain[start:at] and "(" in plain[start:at]:
                start = -1  # a function's body
            depth += 1
        elif char == "}":
            depth -= 1
            if depth == 0 and start == -1:
                start = at + 1
        elif char == ";" and depth == 0:
            statement = " ".join(plain[start:at].split())
            start = at + 1
            head = statement.split("=")[0]
            declares = statement != "" and not statement.startswith(("typedef", "extern"))
            is_type = re.fullmatch(r"(?:static )?(?:struct|enum|union) \w*(?: ?\{.*)?", statement)
            is_function = "(" in head and "(*" not in head
            if declares and not is_type and not is_function and not _constant(head):
                found.append(statement)
    for match in re.finditer(r"^[ \t]+static\s+([^;(]*?)(?:=|;)", plain, re.MULTILINE):
        if not _constant(match[1]):
            found.append(" ".join(match[0].split()))
    return found


def _constant(head: str) -> bool:
    """The declared object itself is constant: `const int x`, `const char *const names[]`."""
    last = head.rsplit("*", 1)[-1]
    return re.search(r"\bconst\b", last) is not None


C_FILES = {
    path.relative_to(SOURCES).as_posix(): path.read_text()
    for path in sorted([*SOURCES.rglob("*.c"), *SOURCES.rglob("*.h")])
}
STATIC_MACROS = {name for text in C_FILES.values() for name in STATIC_MACRO.findall(text)}


RULES: dict[str, Callable[[str, str], list[str]]] = {
    "includes": broken_includes,
    "declarations": lambda name, _: broken_declarations(
        name, C_FILES, public_functions(PUBLIC), STATIC_MACROS
    ),
    "choices": lambda name, text: [
        f"{name} {what}" for what in incomplete_choices(text, choices(PUBLIC))
    ],
    "globals": lambda name, text: [
        f"{name}: {what}" for what in writable_globals(text) if (name, what) not in WRITABLE
    ],
}


@pytest.mark.parametrize("rule", RULES)
def test_every_source_file_keeps_the_rule(rule: str) -> None:
    assert len(C_FILES) > 50
    broken = [line for name, text in C_FILES.items() for line in RULES[rule](name, text)]
    if broken:
        pytest.fail("\n".join(broken), pytrace=False)


def test_the_layers_are_those_of_the_files() -> None:
    stems = [stem for layer in LAYERS for stem in layer]
    assert sorted(stems) == sorted({name.rpartition(".")[0] for name in C_FILES})


def test_every_binding_file_keeps_the_rule() -> None:
    own = {header.name.removesuffix(".in") for header in BINDING.glob("*.h*")}
    files = sorted([*BINDING.glob("*.cpp"), *BINDING.glob("*.h")])
    assert len(files) > 10
    broken = [
        line for path in files for line in broken_binding_includes(path.name, path.read_text(), own)
    ]
    if broken:
        pytest.fail("\n".join(broken), pytrace=False)


def test_public_header_includes_the_c_library_only() -> None:
    included = {name for _, name in INCLUDE.findall(HEADER.read_text())}
    assert included == {"float.h", "stddef.h", "stdint.h"}


@for_each(
    "name, line, accepted",
    [
        ("detector.c", '#include "vec3.h"', True),
        ("detector.c", '#include "detector.h"', True),
        ("detector.c", "#include <math.h>", True),
        ("detector.c", '#include "nbh/nbh.h"', True),
        ("detector.c", '#include "crystal.h"', False),
        ("detector.h", '#include "plan.h"', False),
        ("vec3.h", '#include "detector.h"', False),
        ("vec3.h", '#include "error.h"', False),
        ("plan.c", '#include "detector.h"', True),
        ("plan.c", '#include "render.h"', False),
        ("render.c", '#include "plan.h"', True),
        ("render.c", '#include "unheard_of.h"', False),
        ("unheard_of.c", "", False),
        ("fast/steps.h", '#include "fast/lanes.h"', True),
        ("fast/steps.h", '#include "lanes.h"', False),
        ("fast/steps.h", '#include "pixel.h"', False),
        ("plan.h", '#include "fast/block.h"', True),
        ("plan.c", '#include "fast/choice.h"', False),
        ("plan.c", '#include "serial_states.h"', False),
        ("plan_create.c", '#include "serial_states.h"', True),
    ],
)
def test_include_rule(name: str, line: str, accepted: bool) -> None:
    assert (broken_includes(name, line) == []) is accepted


def test_choices_are_the_enumerations_that_are_not_bits() -> None:
    found = choices(PUBLIC)
    assert {"NBH_SHAPE_SQUARE", "NBH_PIVOT_BEAM", "NBH_KERNEL_AUTO", "NBH_CANCELLED"} <= found
    assert {"NBH_KERNEL_REASON_ASKED", "NBH_CONVENTION_DIALS"} <= found
    assert not {"NBH_OK", "NBH_QUIRKS_NONE", "NBH_WARN_CELL_VOLUME"} & found


@for_each(
    "text, problems",
    [
        ("switch (shape) { case NBH_SHAPE_ROUND: break; }", []),
        ("info->pivot = NBH_PIVOT_BEAM;", []),
        ("/* == NBH_SHAPE_ROUND, default: */", []),
        ("if (status != NBH_OK)", []),
        ("if (shape == NBH_SHAPE_ROUND)", ["compares with NBH_SHAPE_ROUND"]),
        ("if (NBH_SHAPE_ROUND != shape)", ["compares with NBH_SHAPE_ROUND"]),
        ("if (shape == (nbh_shape)NBH_SHAPE_ROUND)", ["compares with NBH_SHAPE_ROUND"]),
        ("if (shape == (NBH_SHAPE_ROUND))", ["compares with NBH_SHAPE_ROUND"]),
        ("if (shape > NBH_SHAPE_ROUND)", ["compares with NBH_SHAPE_ROUND"]),
        ("if (NBH_SHAPE_ROUND >= shape)", ["compares with NBH_SHAPE_ROUND"]),
        ("x = 1 << NBH_SHAPE_ROUND;", []),
        ("switch (shape) { default: break; }", ["has a default"]),
        ("#define OTHERWISE default", ["has a default"]),
        ("switch ((nbh_shape)c->shape) { case NBH_SHAPE_ROUND: break; }", []),
        ("switch (plan->shape.profile) { case PROFILE_GAUSS: break; }", []),
        ("switch (c->shape) { case 1: break; }", ["switches over the number c->shape"]),
        ("switch ((int)shape) { case 1: break; }", ["switches over the number (int)shape"]),
    ],
)
def test_choice_rule(text: str, problems: list[str]) -> None:
    assert incomplete_choices(text, choices(PUBLIC)) == problems


def test_the_compiler_names_a_forgotten_enumerator(tmp_path: Path) -> None:
    """With the flags that the library is always built with."""
    compiler = _need("cc")
    warnings = (ROOT / "cmake" / "NbhWarnings.cmake").read_text()
    flags = re.findall(r"-Werror=switch\S*?(?=[\s>])", warnings)
    assert flags == ["-Werror=switch", "-Werror=switch-enum"]
    pivots = ["NBH_PIVOT_SAMPLE", "NBH_PIVOT_BEAM"]
    for handled in (pivots, pivots[:1]):
        cases = "".join(f"case {name}: return 1; " for name in handled)
        source = tmp_path / "probe.c"
        source.write_text(
            '#include "nbh/nbh.h"\nint f(nbh_pivot p);\n'
            f"int f(nbh_pivot p) {{ switch (p) {{ {cases} }} return 0; }}\n"
        )
        command = [compiler, "-fsyntax-only", *flags, f"-I{HEADER.parents[1]}", str(source)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode == 0) is (handled == pivots)
        assert ("NBH_PIVOT_BEAM" in done.stderr) is (handled != pivots)


PROTOTYPE = "int two(int x);\n"
BODY = "int two(int x)\n{\n    return 2 * x;\n}\n"
ATTRIBUTE = "int two(int x) NBH_PRINTF(4, 5);\n"
INLINE = "static inline int two(int x)\n{\n    return 2 * x;\n}\n"
NOT_FUNCTIONS = """
typedef int function(int);
struct s { int (*member)(int); };
static const int table[] = {sizeof(int)};
enum { A = (1), B };
"""


@for_each(
    "files, problems",
    [
        ({"a.h": PROTOTYPE, "a.c": BODY}, []),
        ({"a.h": ATTRIBUTE, "a.c": BODY}, []),
        ({"fast/a.h": PROTOTYPE, "fast/a.c": BODY}, []),
        ({"a.h": INLINE}, []),
        ({"a.h": INLINE.replace("static inline", "OUTSIDE")}, []),
        ({"a.h": NOT_FUNCTIONS, "a.c": NOT_FUNCTIONS}, []),
        ({"a.c": INLINE + "static int three(void);\n"}, []),
        ({"a.c": BODY.replace("two", "nbh_two")}, []),
        ({"a.c": "/* " + BODY + " */"}, []),
        ({"a.h": PROTOTYPE, "b.c": BODY}, ["a.h: two is not defined in a.c"]),
        ({"a.h": PROTOTYPE, "a.c": INLINE}, ["a.h: two is not defined in a.c"]),
        ({"a.h": PROTOTYPE, "fast/a.c": BODY}, ["a.h: two is not defined in a.c"]),
        ({"a.h": BODY}, ["a.h: two is defined here, not static"]),
        ({"a.c": BODY}, ["a.c: two is in no header of its own"]),
        ({"a.c": PROTOTYPE}, ["a.c: two is declared outside of a header"]),
    ],
)
def test_declaration_rule(files: dict[str, str], problems: list[str]) -> None:
    first = next(iter(files))
    assert broken_declarations(first, files, {"nbh_two"}, {"OUTSIDE"}) == problems
    other = [broken_declarations(name, files, {"nbh_two"}, {"OUTSIDE"}) for name in files]
    assert any(other) is bool(problems)


def test_functions_of_the_public_header_are_seen() -> None:
    declared, defined = functions(PUBLIC.partition("cffi reads from here")[2], set())
    assert declared == public_functions(PUBLIC)
    assert defined == set()


@for_each(
    "line, accepted",
    [
        ('#include "nbh/nbh.h"', True),
        ("#include <pybind11/numpy.h>", True),
        ('#include "threads.h"', True),
        ('#include "plan.h"', False),
        ('#include "../src/plan.h"', False),
    ],
)
def test_binding_include_rule(line: str, accepted: bool) -> None:
    assert (broken_binding_includes("module.cpp", line, {"threads.h"}) == []) is accepted


@for_each(
    "text, accepted",
    [
        ("static const double cof[2] = {1.0, 2.0};", True),
        ("static const char *const names[] = {0};", True),
        ("int f(void);\nint f(void) { int x = 1; return x; }", True),
        ("typedef struct s { int a; } s;\nstruct t { int b; };", True),
        ("enum { A = 1 };", True),
        ("int f(void)\n{\n    static const int k = 3;\n    return k;\n}", True),
        ("/* static int x; */", True),
        ("static int counter;", False),
        ("int counter = 0;", False),
        ("static const char *name = 0;", False),
        ("static double table[32];", False),
        ("int f(void)\n{\n    static int calls = 0;\n    return ++calls;\n}", False),
        ("int f(void) { return 1; }\nstatic int after;", False),
    ],
)
def test_writable_global_rule(text: str, accepted: bool) -> None:
    assert (writable_globals(text) == []) is accepted


WRITABLE_SECTIONS = (".data", ".bss", ".tdata", ".tbss")
TOOLCHAIN = re.compile(
    r"^(__dso_handle|completed(\.\d+)?|__TMC_END__|_edata|_end|__bss_start|_ITM.*|__(asan|ubsan|tsan|odr_asan).*|\.L.*)$"
)


def writable_symbols(binary: Path) -> list[str]:
    """Data symbols of a shared library or object in writable sections, the toolchain's left out.

    Constant tables of addresses (.data.rel.ro) are not writable once the library is loaded.
    """
    command = ["nm", "--defined-only", "--format=sysv", str(binary)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = []
    for line in done.stdout.splitlines():
        columns = [column.strip() for column in line.split("|")]
        if len(columns) != 7 or columns[0] == "Name":
            continue
        name, section = columns[0], columns[6]
        constant = section.startswith(".data.rel.ro")
        if section.startswith(WRITABLE_SECTIONS) and not constant and not TOOLCHAIN.match(name):
            found.append(f"{name} ({section})")
    return found


def _need(program: str) -> str:
    path = shutil.which(program)
    if path is None:
        pytest.skip(f"looking into binaries needs {program}, which is not installed")
    return path


def test_built_library_has_no_writable_data() -> None:
    _need("nm")
    assert set(writable_symbols(Path(nb.get_library()))) <= {"sets_of_processor (.bss)"}


@pytest.mark.parametrize(
    ("text", "symbols"),
    [
        ("static const int table[] = {1, 2};\nint f(int i) { return table[i]; }", []),
        ('static const char *const t[] = {"a"};\nconst char *f(int i) { return t[i]; }', []),
        ("static int n;\nint f(void) { return ++n; }", ["n (.bss)"]),
        ("int n = 3;", ["n (.data)"]),
    ],
)
def test_writable_symbol_rule(text: str, symbols: list[str], tmp_path: Path) -> None:
    _need("nm")
    compiler = _need("cc")
    source = tmp_path / "probe.c"
    source.write_text(text + "\n")
    library = tmp_path / "probe.so"
    subprocess.run([compiler, "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    assert writable_symbols(library) == symbols


FUSED = re.compile(r"\bvfm(?:addsub|subadd)\w+")


def test_built_library_has_no_instructions_that_contract_by_themselves() -> None:
    """We ask for fused multiply-add by name; fused with alternating signs is a compiler's own idea,
    whatever -ffp-contract says."""
    program = _need("objdump")
    command = [program, "-d", "--no-show-raw-insn", str(nb.get_library())]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "Disassembly of section .text" in done.stdout
    assert FUSED.findall(done.stdout) == []
    assert FUSED.findall("  vfmaddsub132pd %xmm1,%xmm2,%xmm0") == ["vfmaddsub132pd"]


# ---- documentation of the public functions ------------------------------------------------------


def undocumented_functions(header: str) -> list[str]:
    """NBH_API functions in a group of declarations (between blank lines) without a comment."""
    found = []
    for block in re.split(r"\n\s*\n", header):
        names = re.findall(r"^NBH_API[^;(]*?(\w+)\(", block, re.MULTILINE)
        if "/*" not in block:
            found += names
    return found


def public_functions(header: str) -> set[str]:
    return set(re.findall(r"^NBH_API[^;(]*?\b(nbh_\w+)\(", header, re.MULTILINE))


def test_every_public_function_is_documented() -> None:
    header = HEADER.read_text()
    assert undocumented_functions(header) == []
    page = (ROOT / "docs" / "c_api.md").read_text().split("## Functions")[1]
    named = set(re.findall(r"`(nbh_\w+)`", page))
    assert named == public_functions(header)
    assert len(named) > 30


def test_undocumented_function_is_seen() -> None:
    assert undocumented_functions("/* does f */\nNBH_API int nbh_f(int x);\n") == []
    assert undocumented_functions("/* a */\n\nNBH_API const int *nbh_g(int x);\n") == ["nbh_g"]
