/**
 * A response as its bytes on the wire, for handlers that have them without building the message.
 */
export class Encoded {
  readonly bytes: Buffer;

  constructor({ buffer, byteOffset, byteLength }: Uint8Array) {
    this.bytes = Buffer.from(buffer, byteOffset, byteLength);
  }
}
