import { readFileSync } from 'node:fs';
import {
  createFileRegistry,
  type DescMethod,
  type FileRegistry,
  fromBinary,
  getOption,
  isMessage,
  toBinary,
} from '@bufbuild/protobuf';
import { type FileDescriptorSet, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { Authorization, Caller } from './gen/silo/common/v1/authorization.ts';

/** The output of `buf build`: descriptors with their options. */
export type Image = { files: FileDescriptorSet; types: FileRegistry };

let plain: Image | undefined;
let commented: Image | undefined;

/** The image that `npm run generate` wrote, read once per process. */
export function loadImage(): Image {
  plain ??= readImage('./gen/image.binpb');
  return plain;
}

/** The same with the comments of the protos, which are two thirds of it: for server reflection. */
export function loadCommentedImage(): Image {
  commented ??= readImage('./gen/commented-image.binpb');
  return commented;
}

function readImage(path: string): Image {
  const files = fromBinary(FileDescriptorSetSchema, readFileSync(new URL(path, import.meta.url)));
  return { files, types: createFileRegistry(files) };
}

/**
 * The method of a gRPC path such as `/silo.org.v1.AccountService/GetAccount`; undefined if unknown.
 */
export function findMethod(image: Image, path: string): DescMethod | undefined {
  const [, service, name] = path.split('/');
  const found = service === undefined ? undefined : image.types.getService(service);
  return found?.methods.find((method) => method.name === name);
}

/**
 * The access rule in a method's option `(silo.common.v1.authorization)`; undefined if it has none.
 */
export function authorizationOf(image: Image, method: DescMethod): Authorization | undefined {
  const extension = image.types.getExtension('silo.common.v1.authorization');
  const schema = image.types.getMessage('silo.common.v1.Authorization');
  if (extension === undefined || schema === undefined) return undefined;
  const value = getOption(method, extension);
  if (!isMessage(value, schema)) return undefined;
  const rule = Authorization.decode(toBinary(schema, value));
  return rule.caller === Caller.CALLER_UNSPECIFIED ? undefined : rule;
}

/** All methods of the `silo.` packages, with their gRPC paths. */
export function siloMethods(image: Image): { path: string; method: DescMethod }[] {
  const found: { path: string; method: DescMethod }[] = [];
  for (const type of image.types) {
    if (type.kind !== 'service' || !type.typeName.startsWith('silo.')) continue;
    for (const method of type.methods) {
      found.push({ path: `/${type.typeName}/${method.name}`, method });
    }
  }
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}
