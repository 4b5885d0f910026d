/** The SDK, registered before the program as a product does: `node --import ./otel-sdk.ts`. */
import { NodeSDK } from '@opentelemetry/sdk-node';

new NodeSDK({ metricReaders: [], logRecordProcessors: [] }).start();
