#!/bin/sh
# SPDX-FileCopyrightText: The Ringo Authors
# SPDX-License-Identifier: BSD-3-Clause
#
# Process 1 of the demo guest.
export PATH=/bin HOME=/root TERM=vt102
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
hostname demo
for m in @MODULES@; do
	insmod /lib/$m
done
ip link set lo up
for i in /sys/class/net/eth*; do
	[ -e $i ] || continue
	ip link set ${i##*/} up
	udhcpc -b -t 2 -T 1 -i ${i##*/} >/dev/null 2>&1 & # runs /etc/udhcpc/default.script
done
wait # until there are addresses, or nobody has answered: it goes on asking
acpid -l /dev/null -p /run/acpid.pid # runs /etc/acpi/PWRF/00000080 when the power button is pushed
cd /root
# What busybox's poweroff, reboot and halt send to process 1.
trap 'sync; poweroff -f' USR2
trap 'sync; reboot -f' TERM
trap 'sync; halt -f' USR1
echo "@READY@"
while :; do
	setsid cttyhack sh -l &
	wait $!
	echo "shell ended; starting another (poweroff ends the guest)"
done
