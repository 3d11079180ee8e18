// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package config

import "github.com/pelletier/go-toml/v2"

// TOML returns the configuration as a file that [Parse] makes it of.
func (c *Config) TOML() ([]byte, error) { return toml.Marshal(c) }
