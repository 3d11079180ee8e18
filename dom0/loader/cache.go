// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package loader

import (
	"bytes"
	"sync"
)

// Cache keeps decompressed kernels, so that a second guest of the same kernel
// starts at once. The zero Cache keeps nothing. It is safe for concurrent use.
type Cache struct {
	limit int64

	mu   sync.Mutex
	used int64
	list []cached // least recently used first
}

type cached struct {
	key  cacheKey
	data []byte
}

// cacheKey identifies the content of a boot module: it does not change while
// dom0 runs.
type cacheKey struct {
	name string
	size int64
}

// NewCache returns a cache of at most limit bytes.
func NewCache(limit int64) *Cache { return &Cache{limit: limit} }

// Drop forgets everything.
func (c *Cache) Drop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list, c.used = nil, 0
}

func (s Source) key() cacheKey { return cacheKey{s.Name, s.Size} }

// get returns the kept image of s, or nil.
func (c *Cache) get(s Source) []byte {
	if c == nil || !s.Constant {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, e := range c.list {
		if e.key == s.key() {
			c.list = append(append(c.list[:i:i], c.list[i+1:]...), e)
			return e.data
		}
	}
	return nil
}

// buffer returns where to collect an image of size bytes, or nil when it would
// not be kept.
func (c *Cache) buffer(s Source, size int64) *bytes.Buffer {
	if c == nil || !s.Constant || size <= 0 || size > c.limit {
		return nil
	}
	return bytes.NewBuffer(make([]byte, 0, size))
}

// put keeps a complete image, and drops others to stay within the limit.
func (c *Cache) put(s Source, b *bytes.Buffer) {
	if b == nil || int64(b.Cap()) > c.limit {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, e := range c.list {
		if e.key == s.key() { // two requests at once
			c.used -= int64(cap(e.data))
			c.list = append(c.list[:i:i], c.list[i+1:]...)
			break
		}
	}
	for c.used+int64(b.Cap()) > c.limit {
		c.used -= int64(cap(c.list[0].data))
		c.list = c.list[1:]
	}
	c.used += int64(b.Cap())
	c.list = append(c.list, cached{s.key(), b.Bytes()})
}
