// Reads a log in the layout of C2SP tlog-tiles with Go's own modules sumdb/tlog and sumdb/note, and proves that every
// record is in the tree that the checkpoint signs.
//
//	go run reader.go TILES VERIFIER-KEY
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// Tiles reads hash tiles of height 8 from a folder.
type tiles struct{ root string }

func (t tiles) Height() int { return 8 }

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	found := make([][]byte, len(wanted))
	for i, tile := range wanted {
		// Go writes the height into the path, tlog-tiles does not.
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(t.root, path))
		if err != nil {
			return nil, err
		}
		found[i] = data
	}
	return found, nil
}

// Bundle reads the records of one entry bundle: each with its length before it, two bytes, the high one first.
func bundle(root string, number int64, width int) ([][]byte, error) {
	tile := tlog.Tile{H: 8, L: 0, N: number, W: width}
	path := strings.Replace(tile.Path(), "tile/8/0/", "tile/entries/", 1)
	data, err := os.ReadFile(filepath.Join(root, path))
	if err != nil {
		return nil, err
	}
	var records [][]byte
	for len(data) > 0 {
		if len(data) < 2 {
			return nil, fmt.Errorf("%s ends in the middle of a length", path)
		}
		length := int(binary.BigEndian.Uint16(data))
		if len(data) < 2+length {
			return nil, fmt.Errorf("%s ends in the middle of a record", path)
		}
		records = append(records, data[2:2+length])
		data = data[2+length:]
	}
	if len(records) != width {
		return nil, fmt.Errorf("%s has %d records, not %d", path, len(records), width)
	}
	return records, nil
}

func read(root, key string) error {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return err
	}
	signed, err := os.ReadFile(filepath.Join(root, "checkpoint"))
	if err != nil {
		return err
	}
	checkpoint, err := note.Open(signed, note.VerifierList(verifier))
	if err != nil {
		return err
	}
	lines := strings.Split(checkpoint.Text, "\n")
	if len(lines) < 4 {
		return fmt.Errorf("the checkpoint has %d lines", len(lines))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	if err != nil {
		return err
	}
	hash, err := base64.StdEncoding.DecodeString(lines[2])
	if err != nil || len(hash) != tlog.HashSize {
		return fmt.Errorf("the root %q is no hash: %v", lines[2], err)
	}
	tree := tlog.Tree{N: size}
	copy(tree.Hash[:], hash)
	reader := tlog.TileHashReader(tree, tiles{root})
	computed, err := tlog.TreeHash(size, reader)
	if err != nil {
		return err
	}
	if computed != tree.Hash {
		return fmt.Errorf("the tiles hash to %v, and the checkpoint says %v", computed, tree.Hash)
	}
	for first := int64(0); first < size; first += 256 {
		width := 256
		if size-first < 256 {
			width = int(size - first)
		}
		records, err := bundle(root, first/256, width)
		if err != nil {
			return err
		}
		for i, record := range records {
			index := first + int64(i)
			proof, err := tlog.ProveRecord(size, index, reader)
			if err != nil {
				return err
			}
			if err := tlog.CheckRecord(proof, size, tree.Hash, index, tlog.RecordHash(record)); err != nil {
				return fmt.Errorf("record %d: %v", index, err)
			}
		}
	}
	fmt.Printf("%s: %d records are in the tree\n", lines[0], size)
	return nil
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: reader TILES VERIFIER-KEY")
		os.Exit(2)
	}
	if err := read(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
