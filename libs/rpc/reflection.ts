import type { DescFile } from '@bufbuild/protobuf';
import { type handleBidiStreamingCall, type Server, status } from '@grpc/grpc-js';
import {
  type ServerReflectionRequest,
  ServerReflectionResponse,
  ServerReflectionService,
} from '@silo/protos/gen/grpc/reflection/v1/reflection.ts';
import { ServerReflectionService as AlphaService } from '@silo/protos/gen/grpc/reflection/v1alpha/reflection.ts';
import type { Image } from '@silo/protos/image.ts';
import { type DescribedFiles, describeFiles, encodeFile } from './described-files.ts';
import { type Decoded, tolerant, undecodableStatus } from './open-service.ts';

type Answer = ServerReflectionResponse['messageResponse'];
type Question = ServerReflectionRequest['messageRequest'];

/** The reflection services themselves, as `list_services` returns them. */
const reflectionServiceNames = [
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
];

/**
 * Serves server reflection, v1 and v1alpha, from the image: these services and what they import,
 * with comments and options, and nothing else. The image is loaded at the first request, because
 * most processes never get one. Calls `handlerBegan` at the start of each call.
 */
export function addReflection(
  server: Server,
  loadImage: () => Image,
  serviceNames: readonly string[],
  handlerBegan: (call: object) => void,
): void {
  const names = [...serviceNames, ...reflectionServiceNames].sort();
  let described: DescribedFiles | undefined;
  const serve: handleBidiStreamingCall<Decoded<ServerReflectionRequest>, Buffer> = (call) => {
    handlerBegan(call);
    described ??= describeFiles(loadImage(), names);
    const files = described;
    const sent = new Set<DescFile>();
    call.on('data', (message: Decoded<ServerReflectionRequest>) => {
      if ('undecodable' in message) {
        call.emit('error', undecodableStatus);
        return;
      }
      const { request } = message;
      // One response at a time, so that a client that does not read causes no further ones.
      call.pause();
      call.write(
        Buffer.concat([
          ServerReflectionResponse.encode({
            validHost: request.host,
            originalRequest: request,
            messageResponse: undefined,
          }).finish(),
          answerTo(request.messageRequest, files, names, sent),
        ]),
        () => call.resume(),
      );
    });
    call.on('end', () => call.end());
  };
  for (const service of [ServerReflectionService, AlphaService]) {
    server.addService(
      {
        serverReflectionInfo: {
          ...tolerant(service.serverReflectionInfo),
          responseSerialize: (bytes: Buffer) => bytes,
          responseDeserialize: (bytes: Buffer) => bytes,
        },
      },
      { serverReflectionInfo: serve },
    );
  }
}

function answerTo(
  question: Question,
  files: DescribedFiles,
  names: readonly string[],
  sent: Set<DescFile>,
): Uint8Array {
  switch (question?.$case) {
    case 'fileByFilename':
      return fileAnswer(files.byName(question.value), question.value, sent);
    case 'fileContainingSymbol':
      return fileAnswer(files.bySymbol(question.value), question.value, sent);
    case 'fileContainingExtension': {
      const { containingType, extensionNumber } = question.value;
      const what = `${containingType} extension ${extensionNumber}`;
      return fileAnswer(files.byExtension(containingType, extensionNumber), what, sent);
    }
    case 'allExtensionNumbersOfType': {
      const extensionNumber = files.extensionNumbers(question.value);
      if (extensionNumber === undefined) return notFound(question.value);
      const value = { baseTypeName: question.value, extensionNumber };
      return encodeAnswer({ $case: 'allExtensionNumbersResponse', value });
    }
    case 'listServices': {
      const service = names.map((name) => ({ name }));
      return encodeAnswer({ $case: 'listServicesResponse', value: { service } });
    }
    case undefined:
      return failed(
        status.INVALID_ARGUMENT,
        'The request is empty. Set one of the fields of message_request.',
      );
  }
}

/** The response for a file on a new stream: encoded once, and shared. */
const freshAnswers = new WeakMap<DescFile, Uint8Array>();

/** The file and its imports, without those that this stream has already sent. */
function fileAnswer(file: DescFile | undefined, what: string, sent: Set<DescFile>): Uint8Array {
  if (file === undefined) return notFound(what);
  const isFresh = sent.size === 0;
  sent.delete(file); // a file requested by name is always sent
  const fileDescriptorProto: Buffer[] = [];
  const send = (next: DescFile) => {
    if (sent.has(next)) return;
    sent.add(next);
    fileDescriptorProto.push(encodeFile(next));
    for (const dependency of next.dependencies) send(dependency);
  };
  send(file);
  const known = isFresh ? freshAnswers.get(file) : undefined;
  if (known !== undefined) return known;
  const answer = encodeAnswer({ $case: 'fileDescriptorResponse', value: { fileDescriptorProto } });
  if (isFresh) freshAnswers.set(file, answer);
  return answer;
}

function notFound(what: string): Uint8Array {
  return failed(
    status.NOT_FOUND,
    `Not found: ${what}. Use list_services to list the services of this server.`,
  );
}

function failed(errorCode: number, errorMessage: string): Uint8Array {
  return encodeAnswer({ $case: 'errorResponse', value: { errorCode, errorMessage } });
}

/** The part of a response that is the same for all requests; the other part echoes the request. */
function encodeAnswer(messageResponse: Answer): Uint8Array {
  const echo = { validHost: '', originalRequest: undefined };
  return ServerReflectionResponse.encode({ ...echo, messageResponse }).finish();
}
