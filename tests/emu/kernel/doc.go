// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

// Package kernel runs the kernel layer's test programs (tests/guests/kerneltest)
// in QEMU and Bochs: on the bare machine, and, when hv can be built, as a
// partition in dom0's place.
//
//	go test ./tests/emu/kernel                       a minute or two
//	go test ./tests/emu/kernel -long -timeout 1h     tortures of minutes
//
// By hand, for example:
//
//	go build -trimpath -ldflags "-T 0x101000 -E ringo/boot/kernel.startBare" \
//		-o build/torture.elf ./tests/guests/kerneltest/torture
//	go run ./tools/mkimage build/torture.elf build/torture.img
//	qemu-system-x86_64 -M q35 -cpu max -m 512 -smp 2 -accel tcg,thread=multi \
//		-display none -serial stdio -no-reboot -kernel build/torture.img \
//		-append "cpus=2 pool=64 secs=60"
//
// QEMU 7.2 starves all but one CPU under -icount with -smp above 1: use one.
package kernel
