// Reads JSON with Go's strict parser and compares it with the bytes of the same message.
//
// Argument: the image of `buf build`. Stdin: one line of JSON for each message: its type, its
// proto3 JSON, its bytes in base64. Prints how many were the same; fails on the first that is not.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

type sample struct {
	Type  protoreflect.FullName
	JSON  json.RawMessage
	Bytes []byte
}

func main() {
	count, err := compareAll(os.Args[1], os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(count)
}

func compareAll(imagePath string, samples io.Reader) (int, error) {
	image, err := os.ReadFile(imagePath)
	if err != nil {
		return 0, err
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(image, &set); err != nil {
		return 0, err
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return 0, err
	}
	decoder := json.NewDecoder(samples)
	for count := 0; ; count++ {
		var next sample
		if err := decoder.Decode(&next); errors.Is(err, io.EOF) {
			return count, nil
		} else if err != nil {
			return count, err
		}
		if err := compare(files, next); err != nil {
			return count, fmt.Errorf("%s: %s: %w", next.Type, next.JSON, err)
		}
	}
}

func compare(files *protoregistry.Files, one sample) error {
	found, err := files.FindDescriptorByName(one.Type)
	if err != nil {
		return err
	}
	descriptor := found.(protoreflect.MessageDescriptor)
	read, sent := dynamicpb.NewMessage(descriptor), dynamicpb.NewMessage(descriptor)
	if err := protojson.Unmarshal(one.JSON, read); err != nil {
		return err
	}
	if err := proto.Unmarshal(one.Bytes, sent); err != nil {
		return err
	}
	if !proto.Equal(read, sent) {
		return fmt.Errorf("read as %v instead of %v", read, sent)
	}
	return nil
}
