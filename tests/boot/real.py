"""The boot tests of real.sh: programs of Debian's."""

import hashlib
import hmac
import io
import os
import random
import re
import secrets
import shutil
import sqlite3
import subprocess
import tarfile

from harness import INITRD, TOOLS_DISK, VMLINUX, check, test
from long import Login, boots_in_a_row, debian_is_whole, healthy, sha256

MINUTES = float(os.environ.get("MINUTES", "3"))
PYTHON_MODULES = ("test_float", "test_math", "test_struct", "test_json", "test_hashlib", "test_threading")


def archive(t, files):
    """A tar archive as a disk: {name: bytes or text}."""
    path = t.path("archive.tar")
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            data = data.encode() if isinstance(data, str) else data
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o755
            tar.addfile(member, io.BytesIO(data))
    return path


def debian(t, script, files=(), **how):
    """Runs the shell script, with the files beside it, in Debian's system (guests/debian/tasks/archive)."""
    disk = archive(t, {"run": "#!/bin/bash\n" + script, **dict(files)})
    return t.linux(
        "quiet trivisor.task=archive",
        *("--disk", TOOLS_DISK + ",readonly", "--disk", disk + ",readonly"),
        **{"memory": "1G", **how},
    )


def ends_well(vm, limit=900):
    vm.ends(0, limit)
    check(vm.says(r"task archive is done"), "the task failed")
    healthy(vm)
    check(vm.errors == b"", f"stderr: {vm.errors[:300]}")


# ---- gcc ----

BITS = (1 << 64) - 1
FILES = 20
ARGUMENTS = range(0, 400, 7)


class Unit:
    """A function of one argument and of the units before it, as C and as Python: unsigned arithmetic of 64 bits."""

    def __init__(self, number, chance):
        self.number = number
        self.factor, self.term = chance.getrandbits(64) | 1, chance.getrandbits(64)
        self.shift, self.rounds = chance.randrange(1, 64), chance.randrange(1, 30)
        self.divisor = chance.randrange(3, 1 << 20)
        self.below = chance.sample(range(number), min(number, 2))

    def c(self):
        return f"""#include "units.h"

uint64_t unit_{self.number}(uint64_t x)
{{
    for (int i = 0; i < {self.rounds}; i++) {{
        x = x * {self.factor}u + {self.term}u;
        x = x >> {self.shift} | x << (64 - {self.shift});
        if (x & 1)
            x ^= x / {self.divisor}u + (uint64_t)((int64_t)x >> {self.shift});
        else
            x += x % {self.divisor}u * (uint32_t)i;
    }}
    return x{"".join(f" ^ unit_{other}(x & 3)" for other in self.below)};
}}
"""

    def value(self, x, units):
        for i in range(self.rounds):
            x = (x * self.factor + self.term) & BITS
            x = (x >> self.shift | x << (64 - self.shift)) & BITS
            if x & 1:
                x ^= (x // self.divisor + ((x - (x >> 63 << 64)) >> self.shift)) & BITS
            else:
                x = (x + x % self.divisor * i) & BITS
        low = x & 3
        for other in self.below:
            x ^= units[other].value(low, units)
        return x


def program(chance):
    """(its files, what its test prints)."""
    units = [Unit(number, chance) for number in range(FILES - 1)]
    files = {f"work/unit_{unit.number}.c": unit.c() for unit in units}
    files["work/units.h"] = "#include <stdint.h>\n" + "".join(f"uint64_t unit_{i}(uint64_t);\n" for i in range(FILES - 1))
    files["work/main.c"] = """#include "units.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    static uint64_t (*const units[])(uint64_t) = {%s};

    for (int i = 1; i < argc; i++)
        for (unsigned k = 0; k < sizeof units / sizeof units[0]; k++)
            printf("%%u %%" PRIx64 "\\n", k, units[k](strtoull(argv[i], NULL, 0)));
    return 0;
}
""" % ", ".join(f"unit_{i}" for i in range(FILES - 1))
    files["work/Makefile"] = (
        "CFLAGS = -O2 -Wall -Werror\nobjects = $(patsubst %.c,%.o,$(wildcard *.c))\n\nall: program\n"
        "program: $(objects)\n\t$(CC) $^ -o $@\n$(objects): units.h\n"
        f"test: program\n\t./program {' '.join(map(str, ARGUMENTS))} >results\n"
    )
    lines = (f"{unit.number} {unit.value(x, units):x}\n" for x in ARGUMENTS for unit in units)
    return files, "".join(lines)


@test(real=True)
def gcc_builds_a_program_of_twenty_files_on_debian_with_systemd(t):
    files, results = program(random.Random(secrets.randbits(64)))
    check(sum(name.endswith(".c") for name in files) == FILES, "not that many files")
    disk = t.copy(TOOLS_DISK, "tools.raw")
    vm = t.run(
        *("--kernel", VMLINUX, "--initrd", INITRD, "--cmdline", "root=/dev/vda1 rw console=ttyS0"),
        *("--disk", disk, "--disk", archive(t, files) + ",readonly"),
        cpus=2,
        memory="1G",
    )
    shell = Login(vm, 400)
    check("running" in shell.do("systemctl is-system-running --wait || systemctl --failed --no-pager", 400), "systemd")
    shell.do("tar -xf /dev/vdb && make -C work -j2 program >/dev/null", 600)
    check("up to date" in shell.do("make -C /root/work program"), "make would do it again")
    shell.do("make -C /root/work test")
    check(sha256(results.encode()) in shell.do("sha256sum /root/work/results"), "the program computed something else")
    vm.line("poweroff")
    vm.ends(0, 300)
    healthy(vm)
    debian_is_whole(disk)


# ---- python, openssl, sqlite ----

PYTHON_NAMES = {"blake2b512": "blake2b", "blake2s256": "blake2s"}  # of OpenSSL's digests, where they differ


@test(real=True)
def python_passes_its_own_tests(t):
    vm = debian(t, f"exec python3 -m test -v --timeout 800 {' '.join(PYTHON_MODULES)}", cpus=2)
    vm.ends(0, 900)
    text = vm.text()
    passed = set(re.findall(r"\[\d/\d\] (test_\w+)", text))
    check(passed == set(PYTHON_MODULES), f"{sorted(set(PYTHON_MODULES) - passed)} did not run")
    total = re.search(r"Total tests: run=([\d,]+)", text)
    check(total is not None and int(total[1].replace(",", "")) > 600, "few tests ran")
    check("Result: SUCCESS" in text, "a test failed")
    healthy(vm)


@test(real=True)
def openssl_computes_what_this_machine_does(t):
    sizes = (0, 1, 63, 64, 65, 127, 4095, 4096, 65537, 1000003)
    files = {f"file{size}": secrets.token_bytes(size) for size in sizes}
    digests = ("md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3-256", "sha3-512", "blake2b512", "blake2s256")
    key, iv = secrets.token_hex(32), secrets.token_hex(16)
    vm = debian(
        t,
        f"""
for digest in {" ".join(digests)}; do
    for file in file*; do
        echo "digest $digest $file $(openssl dgst -r -$digest $file | cut -d ' ' -f 1)"
    done
done
for file in file*; do
    echo "hmac $file $(openssl dgst -r -sha256 -mac HMAC -macopt hexkey:{key} $file | cut -d ' ' -f 1)"
    for cipher in aes-256-cbc aes-256-ctr chacha20; do
        openssl enc -$cipher -K {key} -iv {iv} -in $file -out coded && openssl enc -d -$cipher -K {key} -iv {iv} -in coded |
            cmp - $file || echo "WRONG $cipher"
        echo "coded $cipher $file $(sha256sum <coded)"
    done
done
openssl genrsa -out rsa.pem 2048 2>/dev/null
openssl rsa -in rsa.pem -pubout -out rsa-public.pem 2>/dev/null
openssl ecparam -name prime256v1 -genkey -noout -out ec.pem
openssl ec -in ec.pem -pubout -out ec-public.pem 2>/dev/null
for kind in rsa ec; do
    openssl dgst -sha256 -sign $kind.pem -out signature file65537
    openssl dgst -sha256 -verify $kind-public.pem -signature signature file65537
    openssl dgst -sha256 -verify $kind-public.pem -signature signature file4096 2>/dev/null && echo "WRONG signature"
done
openssl speed -seconds 1 -bytes 1024 sha256 aes-256-cbc 2>/dev/null | tail -n 2
openssl info -cpusettings
for file in file*; do
    for caps in all rv64gc; do
        [ $caps = all ] || export OPENSSL_riscvcap=$caps
        echo "gmac $caps $file $(openssl mac -cipher AES-256-GCM -macopt hexkey:{key} -macopt hexiv:{iv[:24]} -in $file GMAC)"
        unset OPENSSL_riscvcap
    done
done
""",
        files,
    )
    ends_well(vm)
    text = vm.text()
    for name, data in files.items():
        with open(t.path(name), "wb") as file:
            file.write(data)
        for digest in digests:
            wanted = hashlib.new(PYTHON_NAMES.get(digest, digest.replace("-", "_")), data).hexdigest()
            check(f"digest {digest} {name} {wanted}\n" in text, f"another {digest} of {name}")
        check(f"hmac {name} {hmac.new(bytes.fromhex(key), data, 'sha256').hexdigest()}\n" in text, f"another HMAC of {name}")
        for cipher in ("aes-256-cbc", "aes-256-ctr", "chacha20") if shutil.which("openssl") else ():
            coded = subprocess.run(
                ["openssl", "enc", f"-{cipher}", "-K", key, "-iv", iv], input=data, capture_output=True, check=True
            ).stdout
            check(f"coded {cipher} {name} {sha256(coded)} " in text, f"{cipher} of {name} is another")
        for caps in ("all", "rv64gc") if shutil.which("openssl") else ():
            words = ["openssl", "mac", "-cipher", "AES-256-GCM", "-macopt", f"hexkey:{key}", "-macopt", f"hexiv:{iv[:24]}", "GMAC"]
            wanted = subprocess.run([*words[:-1], "-in", t.path(name), "GMAC"], capture_output=True, check=True, text=True)
            check(f"gmac {caps} {name} {wanted.stdout.strip()}\n" in text, f"another GMAC of {name} ({caps})")
    check(re.search(r"riscvcap=\S*_V_ZVBB_ZVBC_ZVKB_ZVKG_ZVKNED_ZVKNHB vlen:128", text) is not None, "OpenSSL uses no vectors")
    check("WRONG" not in text, "a cipher or a signature is wrong")
    check(text.count("Verified OK") == 2 and text.count("Verification failure") == 2, "signatures")
    for name in ("sha256", "aes-256-cbc"):
        check(re.search(rf"(?m)^{name} .*\d", text) is not None, f"openssl speed has no line of {name}")


def sql(chance, rows):
    lines = ["create table person(id integer primary key, name text, age int, weight real);", "begin;"]
    for i in range(rows):
        name = "".join(chance.choices("abcdefghij", k=6))
        lines.append(f"insert into person values({i}, '{name}', {chance.randrange(100)}, {chance.random() * 100!r});")
    lines += ["commit;", "create index by_name on person(name, age);"]
    return "\n".join(lines) + "\n"


QUERY = """select substr(name, 1, 2), count(*), sum(age), min(name), round(avg(weight), 6) from person
    where name like '%c%' or age in (select age from person where weight < 10 group by age having count(*) > 3)
    group by 1 order by 3 desc, 1;"""


@test(real=True)
def sqlite_is_whole_and_answers_as_here(t):
    text = sql(random.Random(secrets.randbits(64)), 20000)
    vm = debian(
        t,
        """
sqlite3 people.db <make.sql
echo "rows"
sqlite3 people.db <query.sql
# Two writers, each in transactions of its own, while a third reads.
for writer in 1 2; do
    (for i in $(seq 40); do
        sqlite3 -cmd '.timeout 60000' people.db "begin immediate; update person set age = age + 1 where id % 2 = $writer - 1;
            insert into person select max(id) + 1, 'writer$writer', $i, 0 from person; commit;" || echo "WRONG writer"
    done) &
done
for i in $(seq 10); do sqlite3 -cmd '.timeout 60000' people.db "pragma quick_check;" | grep -v '^ok$'; done
wait
echo "integrity $(sqlite3 people.db 'pragma integrity_check;')"
echo "written $(sqlite3 people.db "select count(*), sum(age) from person where name like 'writer%'")"
""",
        {"make.sql": text, "query.sql": QUERY},
        cpus=2,
    )
    ends_well(vm)
    here = sqlite3.connect(":memory:")
    here.executescript(text)
    wanted = "".join("|".join(map(str, row)) + "\n" for row in here.execute(QUERY))
    check("rows\n" + wanted in vm.text(), "another answer")
    check("integrity ok\n" in vm.text() and "WRONG" not in vm.text(), "the database is not whole")
    # A writer also ages the rows of the other whose id is even or odd, so only their number is certain.
    check("written 80|" in vm.text(), "a transaction was lost")


# ---- many, long ----


@test(real=True)
def four_harts_are_busy_and_right(t):
    seconds = int(MINUTES * 60)
    seed = secrets.token_hex(8)
    vm = debian(
        t,
        f"""
end=$((SECONDS + {seconds}))
(while [ $SECONDS -lt $end ]; do yes {seed} | head -c 3000000 | sha256sum | cut -c 1-64; done | sort | uniq -c >sums) &
for class in "--cpu 4" "--vm 2 --vm-bytes 96M" "--cache 4" "--fork 3" "--signest 1 --sigq 2 --sigsegv 1 --sigfpe 1" \\
    "--cpu 2 --fork 2 --vm 1 --vm-bytes 64M --sigq 1 --pipe 2 --switch 1"; do
    stress-ng --verify --temp-path /tmp $class --timeout {max(5, seconds // 6)}s 2>&1 | sed "s/^/stress: /"
    echo "class $class: status ${{PIPESTATUS[0]}}"
done
wait
echo "sums $(tr -s ' ' ' ' <sums)"
""",
        cpus=4,
    )
    ends_well(vm, seconds * 3 + 900)
    text = vm.text()
    check(re.findall(r"class .*: status (\d+)", text) == ["0"] * 6, "stress-ng found a mistake")
    check(text.count("successful run completed") == 6 and "stress: fail" not in text, "stress-ng did not end well")
    wanted = hashlib.sha256((f"{seed}\n".encode() * (3000000 // 17 + 1))[:3000000]).hexdigest()
    check(re.search(rf"sums +\d+ {wanted}\n", text) is not None, "a sum was wrong")


@test(real=True)
def real_twenty_boots_in_a_row(t):
    boots_in_a_row(t, 20, secrets.randbits(32))
