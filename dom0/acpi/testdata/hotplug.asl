// The DSDT of a guest of three processors that come and go, in ASL. hotplug.aml beside
// it was made from this file by "iasl -on -p hotplug hotplug.asl" (ACPICA 20200925) and
// is the oracle for our own AML encoder.
DefinitionBlock ("", "DSDT", 2, "RINGO ", "RINGOHV ", 1)
{
    Name (\_S5, Package () { 5, 5, 0, 0 })
    Scope (\_SB)
    {
        Device (HPLG)
        {
            Name (_HID, EisaId ("PNP0C02"))
            Name (_UID, 1)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0630, 0x0630, 1, 20)
            })
            OperationRegion (REGS, SystemIO, 0x0630, 20)
            Field (REGS, DWordAcc, NoLock, Preserve)
            {
                PRES, 32,
                INSR, 32,
                REMV, 32,
                EJCT, 32,
                OSTS, 32
            }
            Method (SCAN, 0, Serialized)
            {
                Store (INSR, Local0)
                Store (Local0, INSR)
                Store (REMV, Local1)
                Store (Local1, REMV)
                If (And (Local0, 2)) { Notify (\_SB.C001, 1) }
                If (And (Local1, 2)) { Notify (\_SB.C001, 3) }
                If (And (Local0, 4)) { Notify (\_SB.C002, 1) }
                If (And (Local1, 4)) { Notify (\_SB.C002, 3) }
            }
        }
        Device (C000)
        {
            Name (_HID, "ACPI0007")
            Name (_UID, 0)
            Name (_MAT, Buffer () { 0, 8, 0, 0, 1, 0, 0, 0 })
            Method (_STA)
            {
                If (And (\_SB.HPLG.PRES, 1)) { Return (0x0F) }
                Return (0)
            }
        }
        Device (C001)
        {
            Name (_HID, "ACPI0007")
            Name (_UID, 1)
            Name (_MAT, Buffer () { 0, 8, 1, 1, 1, 0, 0, 0 })
            Method (_STA)
            {
                If (And (\_SB.HPLG.PRES, 2)) { Return (0x0F) }
                Return (0)
            }
            Method (_EJ0, 1) { Store (2, \_SB.HPLG.EJCT) }
            Method (_OST, 3) { Store (Or (Or (1, ShiftLeft (And (Arg0, 0xFF), 8)), ShiftLeft (And (Arg1, 0xFF), 16)), \_SB.HPLG.OSTS) }
        }
        Device (C002)
        {
            Name (_HID, "ACPI0007")
            Name (_UID, 2)
            Name (_MAT, Buffer () { 0, 8, 2, 2, 1, 0, 0, 0 })
            Method (_STA)
            {
                If (And (\_SB.HPLG.PRES, 4)) { Return (0x0F) }
                Return (0)
            }
            Method (_EJ0, 1) { Store (4, \_SB.HPLG.EJCT) }
            Method (_OST, 3) { Store (Or (Or (2, ShiftLeft (And (Arg0, 0xFF), 8)), ShiftLeft (And (Arg1, 0xFF), 16)), \_SB.HPLG.OSTS) }
        }
    }
    Scope (\_GPE)
    {
        Method (_E02) { \_SB.HPLG.SCAN () }
    }
}
