// The DSDT of a guest with a generation identifier, in ASL. generation.aml beside it was made
// from this file by "iasl -on -p generation generation.asl" (ACPICA 20200925) and is the
// oracle for our own AML encoder.
DefinitionBlock ("", "DSDT", 2, "RINGO ", "RINGOHV ", 1)
{
    Name (\_S5, Package () { 5, 5, 0, 0 })
    Scope (\_SB)
    {
        Device (VGEN)
        {
            Name (_HID, "RNGO0001")
            Name (_CID, "VM_Gen_Counter")
            Name (_DDN, "VM_Gen_Counter")
            Method (ADDR, 0, NotSerialized)
            {
                Return (Package () { 0x000DFF00, 0 })
            }
        }
    }
    Scope (\_GPE)
    {
        Method (_E04, 0, NotSerialized)
        {
            Notify (\_SB.VGEN, 0x80)
        }
    }
}
