module ringo

go 1.26.5

toolchain go1.26.8

require (
	github.com/google/go-cmp v0.7.0
	github.com/usbarmory/tamago v1.26.6
	golang.org/x/arch v0.32.0
)
