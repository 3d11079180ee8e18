// The DSDT of the guest platform in ASL. dsdt.aml beside it was made from this
// file by "iasl -on -p dsdt dsdt.asl" (ACPICA 20200925) and is the oracle for our
// own AML encoder.
DefinitionBlock ("", "DSDT", 2, "RINGO ", "RINGOHV ", 1)
{
    Name (\_S5, Package () { 5, 5, 0, 0 })
    Scope (\_SB)
    {
        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, 1)
            Name (_STA, 0x0F)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x03F8, 0x03F8, 1, 8)
                IRQNoFlags () { 4 }
            })
        }
        Device (RTC)
        {
            Name (_HID, EisaId ("PNP0B00"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0070, 0x0070, 1, 2)
                IRQNoFlags () { 8 }
            })
        }
    }
}
