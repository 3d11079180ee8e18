// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package config

import (
	"encoding"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"ringo/dom0/config/near"
)

// flat are the short names on the command line for keys of tables.
var flat = map[string]string{
	"kernel": "boot.kernel", "initrd": "boot.initrd", "cmdline": "boot.cmdline", "firmware": "boot.firmware",
}

// Keys returns the keys that Set takes, for completion.
func Keys() []string {
	var keys []string
	for _, k := range fieldNames(reflect.TypeFor[Config]()) {
		if k != "boot" {
			keys = append(keys, k)
		}
	}
	return append(keys, "kernel", "initrd", "cmdline", "firmware")
}

// Set changes one key from the command line; value has no quotes any more.
func (c *Config) Set(key, value string) error {
	if key == "disk" {
		return c.addDisk(value)
	}
	if key == "nic" {
		return c.addNIC(value)
	}
	if key == "port" {
		c.Port = append(slices.Clip(c.Port), Port{Name: value})
		return nil
	}
	full := key
	if f, ok := flat[key]; ok {
		full = f
	}
	v := reflect.ValueOf(c).Elem()
	for _, k := range strings.Split(full, ".") {
		if v.Kind() != reflect.Struct {
			return fmt.Errorf("%s: %q is not a table", key, k)
		}
		i := slices.Index(fieldNames(v.Type()), k)
		if i < 0 {
			return fmt.Errorf("unknown key %q%s", key, near.Hint(key, Keys()))
		}
		v = v.Field(i)
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if err := u.UnmarshalText([]byte(value)); err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(value)
	case reflect.Int:
		n, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("%s: %q is not a whole number", key, value)
		}
		v.SetInt(int64(n))
	case reflect.Bool:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return fmt.Errorf("%s: %q is neither true nor false", key, value)
		}
		v.SetBool(b)
	default:
		return fmt.Errorf("%s cannot be given on the command line: write it in a file", key)
	}
	return nil
}
