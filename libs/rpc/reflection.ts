import type { DescFile } from '@bufbuild/protobuf';
import { type handleBidiStreamingCall, type Server, status } from '@grpc/grpc-js';
import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionService,
} from '@silo/protos/gen/grpc/reflection/v1/reflection.ts';
import { ServerReflectionService as AlphaService } from '@silo/protos/gen/grpc/reflection/v1alpha/reflection.ts';
import type { Image } from '@silo/protos/image.ts';
import { type DescribedFiles, describeFiles, encodeFile } from './described-files.ts';
import { type Decoded, tolerant, undecodableStatus } from './open-service.ts';

type Answer = ServerReflectionResponse['messageResponse'];
type Question = ServerReflectionRequest['messageRequest'];

/** The reflection services themselves, as `list_services` names them. */
const reflectionServiceNames = [
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
];

/**
 * Serves server reflection, v1 and v1alpha, from the image: these services and what they import,
 * with comments and options. What they do not lead to does not exist here.
 */
export function addReflection(server: Server, image: Image, serviceNames: readonly string[]): void {
  const names = [...serviceNames, ...reflectionServiceNames].sort();
  const files = describeFiles(image, names);
  const serve: handleBidiStreamingCall<
    Decoded<ServerReflectionRequest>,
    ServerReflectionResponse
  > = (call) => {
    const sent = new Set<DescFile>();
    call.on('data', (message: Decoded<ServerReflectionRequest>) => {
      if ('undecodable' in message) {
        call.emit('error', undecodableStatus);
        return;
      }
      const { request } = message;
      const isWaiting = !call.write({
        validHost: request.host,
        originalRequest: request,
        messageResponse: answerTo(request.messageRequest, files, names, sent),
      });
      if (isWaiting) {
        call.pause();
        call.once('drain', () => call.resume());
      }
    });
    call.on('end', () => call.end());
  };
  for (const service of [ServerReflectionService, AlphaService]) {
    server.addService(
      { serverReflectionInfo: tolerant(service.serverReflectionInfo) },
      { serverReflectionInfo: serve },
    );
  }
}

function answerTo(
  question: Question,
  files: DescribedFiles,
  names: readonly string[],
  sent: Set<DescFile>,
): Answer {
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
      return { $case: 'allExtensionNumbersResponse', value };
    }
    case 'listServices': {
      const service = names.map((name) => ({ name }));
      return { $case: 'listServicesResponse', value: { service } };
    }
    case undefined:
      return failed(status.INVALID_ARGUMENT, 'The request asks for nothing.');
  }
}

/** The file with what it imports, but for what this stream has had already. */
function fileAnswer(file: DescFile | undefined, what: string, sent: Set<DescFile>): Answer {
  if (file === undefined) return notFound(what);
  sent.delete(file); // what is asked for by name is always sent
  const fileDescriptorProto: Buffer[] = [];
  const send = (next: DescFile) => {
    if (sent.has(next)) return;
    sent.add(next);
    fileDescriptorProto.push(encodeFile(next));
    for (const dependency of next.dependencies) send(dependency);
  };
  send(file);
  return { $case: 'fileDescriptorResponse', value: { fileDescriptorProto } };
}

function notFound(what: string): Answer {
  return failed(status.NOT_FOUND, `Not described here: ${what}`);
}

function failed(errorCode: number, errorMessage: string): Answer {
  return { $case: 'errorResponse', value: { errorCode, errorMessage } };
}
