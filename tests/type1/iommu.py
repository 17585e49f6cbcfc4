"""Devices of the board behind its IOMMU, which QEMU has from 10 on: what they reach, and that it is told."""

import hashlib
import os
import socket
import subprocess

from main import BUILD, OWN, Failed, Skipped, debian, need, qemu_has, test, tiny

PROBE = os.path.join(BUILD, "guests", "probe.bin")
DMA = os.path.join(BUILD, "guests", "dma.bin")
MIB = 1 << 20
RAM = 0x80000000
PCI = "[ { device: pci@30000000 } ]"
EDU = ["-device", "edu,dma_mask=0xffffffffffff"]
HART = "rv64,h=true"


def dma(name, end=RAM, again=0):
    cmdline = f'"end={end} again={again}"'
    return dict(name=name, cpus=1, memory="16M", kernel=DMA, cmdline=cmdline, passthrough=PCI)


def board_memory(board, monitor, size):
    """All of the board's RAM, as QEMU has it."""
    path = os.path.join(board.dir, "ram")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(monitor)
        text = b""
        for command in ("", f'pmemsave {RAM} {size} "{path}"\n'):
            sock.sendall(command.encode())
            while not text.endswith(b"(qemu) "):
                data = sock.recv(4096)
                if not data:
                    raise Failed("QEMU's monitor is gone")
                text += data
            text = b""
    with open(path, "rb") as file:
        return file.read()


@test()
def the_board_says_what_its_iommu_does(board):
    need("iommu-sys")
    board.bundle(tiny("one"))
    for machine in ("virt,iommu-sys=on", "virt,iommu-sys=on,aia=aplic-imsic"):
        process = board.start(machine=machine, cpu=HART)
        process.expect("board: IOMMU iommu@3010000 is on: devices behind it reach what their guest has")
        process.expect("no guest is running")


@test()
def dma_of_a_passed_device_reaches_its_guest_and_nothing_else(board):
    need("iommu-sys")
    end = RAM + 256 * MIB
    # Another guest's memory, full of what it wrote there.
    full = dict(name="full", cpus=1, memory="64M", kernel=PROBE, cmdline="sleep")
    board.bundle(dma("owner", end), full, tiny("other", "hold"))
    monitor = os.path.join(board.dir, "monitor")
    devices = [*EDU, "-monitor", f"unix:{monitor},server=on,wait=off"]
    process = board.start(memory="256M", machine="virt,iommu-sys=on", cpu=HART, devices=devices)
    process.expect("owner: has the board's pci@30000000; by DMA it reaches the guest's memory alone")
    process.expect(r"owner\| \S*dma: own memory: copied")
    process.expect(r"owner\| \S*dma: interrupt: came")
    # Behind its own 16 MiB; more than one place, so that the hypervisor's and the other guest's are among them.
    process.expect(
        r"owner: the IOMMU stopped a write to 81000000 by device 00:01.0 of pci@30000000 .cause 23: not the guest's memory"
    )
    process.expect("owner: the IOMMU stopped a read of [0-9a-f]+ by device 00:01.0 of pci@30000000 .cause 21")
    process.expect(r"owner\| \S*dma: swept 30 places, 0 of them read something", 60)
    page = bytes(b"edu was here...."[i % 16] ^ (i >> 4) for i in range(4096))
    count = board_memory(board, monitor, 256 * MIB).count(page)
    # Where it was made, and where the device copied it to.
    if count != 2:
        raise Failed(f"what the device wrote is in the board's memory {count} times")
    process.expect(r"other\| \S*report: tick \d+")
    process.send("poweroff\r")
    process.ends(0)


@test()
def a_restarted_guest_has_its_device_again(board):
    need("iommu-sys")
    board.bundle(dma("owner", again=1))
    process = board.start(memory="256M", machine="virt,iommu-sys=on", cpu=HART, devices=EDU)
    for _ in range(3):
        process.expect(r"owner\| \S*dma: own memory: copied")
        process.expect(r"owner\| \S*dma: interrupt: came")
        process.expect("owner: reboots")
    process.send("stop owner\r")
    process.expect("owner: is off|owner +off")
    process.send("start owner\r")
    process.expect(r"owner\| \S*dma: own memory: copied")
    process.send("destroy owner\r")
    process.expect("owner: is destroyed")
    process.send("create owner\r")
    process.expect(r"owner\| \S*dma: own memory: copied")
    process.expect(r"owner\| \S*dma: interrupt: came")


@test()
def a_pci_host_that_cannot_be_confined_is_not_passed_on(board):
    if OWN:
        raise Skipped("our own board has no PCI host")
    disk = board.file("disk.raw", b"")
    drive = ["-drive", f"file={disk},format=raw,if=none,id=d", "-device"]
    board.bundle(dma("owner"), tiny("other"))
    cases = [("virt", [], "there is no IOMMU for it, and its DMA would reach all memory")]
    if qemu_has("iommu-sys"):
        cases += [
            ("virt", ["-device", "riscv-iommu-pci"], "its IOMMU is a PCI device, which is not supported"),
            ("virt,iommu-sys=on", [*drive, "virtio-blk-pci,drive=d"], "a virtio device on it takes untranslated addresses"),
        ]
    for machine, devices, words in cases:
        process = board.start(memory="256M", machine=machine, devices=devices, cpu=HART)
        process.expect("owner: pci@30000000 cannot be passed on: " + words)
        process.expect(r"other\| \S*report: done")
        process.expect("no guest is running")


@test()
def a_pci_host_is_one_guests(board):
    need("iommu-sys")
    board.bundle(dma("owner"), dict(dma("thief"), passthrough="[ { device: /soc/pci@30000000 } ]"))
    process = board.start(memory="256M", machine="virt,iommu-sys=on", cpu=HART, devices=EDU)
    process.expect("thief: /soc/pci@30000000 cannot be passed on: it is given already")
    process.expect(r"owner\| \S*dma: own memory: copied")
    process.expect("no guest is running")


@test(long=True)
def a_debian_guest_has_a_file_system_on_a_pci_disk_of_the_board(board):
    need("iommu-sys")
    files = os.path.join(board.dir, "files")
    os.mkdir(files)
    content = os.urandom(3000000)
    with open(os.path.join(files, "given"), "wb") as file:
        file.write(content)
    disk = board.file("disk.raw", b"", 16 * MIB)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", files, disk], check=True)
    modules = "".join(f"insmod /modules/{name}.ko;" for name in ("crc16", "mbcache", "jbd2", "crc32c_generic", "ext4"))
    command = (
        modules + "mount -t ext4 /dev/vda /mnt;sha256sum /mnt/given;yes trivisor|head -c 3000000 >/mnt/made;umount /mnt;"
        "grep virtio /proc/interrupts;ls /sys/bus/pci/devices"
    )
    board.bundle(dict(debian("owner", command, 2), passthrough=PCI), debian("other", "ps"))
    drive = ["-drive", f"file={disk},format=raw,if=none,id=d", "-device"]
    for aia, controller in (("", "SiFive PLIC"), (",aia=aplic-imsic", "SiFive PLIC"), (",aia=aplic-imsic,aia-guests=3", "APLIC-MSI")):
        devices = [*drive, "virtio-blk-pci,drive=d,iommu_platform=on,disable-legacy=on"]
        process = board.start(memory="1G", machine="virt,iommu-sys=on" + aia, cpu=HART, devices=devices)
        process.expect(r"owner[|>] \S*" + hashlib.sha256(content).hexdigest(), 200)
        process.expect("no guest is running; the board goes off", 200)
        process.ends(0)
        if not process.says(r"owner[|>] .* [1-9]\d* .*" + controller + ".* virtio0"):
            raise Failed("the disk did not interrupt")
        if process.says("IOMMU stopped"):
            raise Failed("the IOMMU stopped what it should let pass")
        subprocess.run(["e2fsck", "-fn", disk], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        made = subprocess.run(["debugfs", "-R", "cat /made", disk], capture_output=True, check=True).stdout
        if made != (b"trivisor\n" * 400000)[:3000000]:
            raise Failed("what the guest wrote is not on the disk")
        subprocess.run(["debugfs", "-w", "-R", "rm /made", disk], capture_output=True, check=True)
