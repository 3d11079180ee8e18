# SPDX-FileCopyrightText: The Ringo Authors
# SPDX-License-Identifier: BSD-3-Clause
#
# Each target is one Go program; make passes its variables on by environment.

GO ?= go

.PHONY: help run image unikernel check test test-long fuzz conformance bench profile deps clean

help:
	@echo 'make run        build Ringo and run it in an emulator, with a demo guest at hand'
	@echo '                SMP=2 MEM=2048 FILES="a b" HVARGS="..."'
	@echo '                BOOT=kernel|iso|usb|pxe|uefi-iso|uefi-usb|uefi-pxe'
	@echo '                BACKEND=svm|vmx ACCEL=tcg|kvm|bochs IOMMU=intel|amd|none QEMU_ARGS="..."'
	@echo '                DISKS="a.img b.img" DISKBUS=nvme|ahci|virtio|ide'
	@echo '                SERVER=none leaves out the Debian of server.toml, and its disk'
	@echo '                NIC=virtio|e1000e|e1000|none HOSTFWD="2222:22"'
	@echo '                Ctrl-\ three times ends the emulator'
	@echo 'make image      build/hv.img, build/dom0.elf, build/ringo.iso, build/tftp/'
	@echo '                TOOLCHAIN=tamago TAMAGO=/path/to/go: by the compiler of TamaGo, here and for run, test, bench'
	@echo 'make unikernel  build/unikernel, a guest built by TamaGo: BOARD=qemu|firecracker|cloudhypervisor'
	@echo 'make check      build, vet, format, lints, unit tests'
	@echo 'make test       check, the suite that boots the images in QEMU and Bochs, and fuzz'
	@echo 'make test-long  the same, with the tests that take minutes'
	@echo 'make fuzz       of those the fuzz targets alone, 10 s each'
	@echo 'make conformance  of those the tests of the backends alone, and their table'
	@echo 'make bench      figures, counted in instructions; also build/bench.json'
	@echo '                BACKEND=vmx: those of VT-x in Bochs; build/bench-vmx.json'
	@echo '                ROWS="guest life linux memory disk io net idle": some of them'
	@echo 'make profile    where the instructions of one exit go: FIGURE=cpuid BY=func|line BACKEND=svm|vmx'
	@echo 'make deps       install the Debian packages that all of this needs'
	@echo 'make clean      remove build/'

run:
	@$(GO) run ./tools/run

image:
	@$(GO) run ./tools/dist

unikernel:
	@$(GO) run ./tools/unikernel

check:
	@$(GO) run ./tools/check

test:
	@$(GO) run ./tools/check -emu

test-long:
	@$(GO) run ./tools/check -emu -long

fuzz:
	@$(GO) run ./tools/check -fuzz

conformance:
	@$(GO) run ./tools/check -backends

bench:
	@$(GO) run ./tests/bench

profile:
	@$(GO) run ./tools/profile

deps:
	@$(GO) run ./tools/deps run iso pxe uefi test bochs

clean:
	rm -rf build
