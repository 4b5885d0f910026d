/** The SDK as a product registers it before its program: `node --import ./otel-sdk.ts`. */
import { NodeSDK } from '@opentelemetry/sdk-node';

new NodeSDK({ metricReaders: [], logRecordProcessors: [] }).start();
