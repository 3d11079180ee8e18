// SPDX-FileCopyrightText: The Ringo Authors
// SPDX-License-Identifier: BSD-3-Clause

package web

import (
	"errors"
	"fmt"
	"io"
)

// ReadAt implements [io.ReaderAt].
func (f *File) ReadAt(b []byte, off int64) (n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if off < 0 {
		return 0, errors.New("before its beginning")
	}
	for n < len(b) && off+int64(n) < f.size && err == nil {
		var k int
		k, err = f.some(b[n:min(int64(len(b)), f.size-off)], off+int64(n))
		n += k
	}
	if err == nil && n < len(b) {
		err = io.EOF
	}
	return n, err
}

// some reads all of b, which lies within the file, or as much of it as is at hand.
func (f *File) some(b []byte, off int64) (int, error) {
	most := min(headSize, f.size)
	if off >= most {
		return f.pull(b, off)
	}
	if have := int64(len(f.head)); off >= have {
		if f.head == nil {
			f.head = make([]byte, 0, most)
		}
		n, err := f.pull(f.head[have:most], have)
		f.head = f.head[:have+int64(n)]
		if err != nil {
			return 0, err
		}
	}
	return copy(b, f.head[off:]), nil
}

// pull reads all of b from the server, which is asked again when the connection breaks.
func (f *File) pull(b []byte, off int64) (n int, err error) {
	for range tries {
		if err = f.seek(off + int64(n)); err == nil {
			var k int
			k, err = f.read(b[n:])
			n += k
		}
		if err == nil || errors.Is(err, errChanged) || errors.Is(err, errRanges) {
			return n, err
		}
		f.close()
	}
	return n, fmt.Errorf("the connection to its server breaks: %w", err)
}

// seek makes the connection go on at a byte.
func (f *File) seek(off int64) error {
	if f.body != nil && off > f.at && off-f.at <= skipMost {
		gap := make([]byte, 32<<10)
		for off > f.at {
			if _, err := f.read(gap[:min(off-f.at, int64(len(gap)))]); err != nil {
				return err
			}
		}
	}
	if f.body != nil && off == f.at {
		return nil
	}
	_, err := f.get(off)
	return err
}

// read reads all of b from the connection.
func (f *File) read(b []byte) (n int, err error) {
	for n < len(b) && err == nil {
		f.idle.Reset(patience)
		var k int
		k, err = f.body.Read(b[n:])
		n, f.at = n+k, f.at+int64(k)
	}
	f.idle.Reset(patience)
	if n == len(b) {
		return n, nil
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
