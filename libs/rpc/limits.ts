/** The limits of a port. None of them can be disabled. */
export type PortLimits = {
  /** Open connections of the port. */
  connectionsMax: number;
  /** Open connections from one address, on the public port. */
  connectionsPerAddressMax: number;
  /** Rates of the public port, per `windowMs` and process. */
  rates: RateSettings;
};

/** The rate limits of a public port. */
export type RateSettings = {
  /** The window of the next four limits. */
  windowMs: number;
  /**
   * Points for one address before authentication. A call costs 1, a call of server reflection 10,
   * and a new connection 5. A key that is not live, or a call that is too large or holds too much
   * memory, costs 30 more. The first look-up of a project token that only another region may know
   * costs 30 if that region does not answer. On the HTTP edge, a large body that is refused costs 1
   * for each 4 KiB. Calls with a key that was accepted recently cost nothing.
   */
  addressPoints: number;
  /** Calls of one account. */
  accountCalls: number;
  /** Calls for one organization. */
  organizationCalls: number;
  /** Calls with the token of one project. */
  projectCaptures: number;
  /** Sign-ups from one address per hour. */
  signupsPerHour: number;
};

/** The limits unless the configuration sets others. */
export const defaultLimits: PortLimits = {
  connectionsMax: 4_096,
  connectionsPerAddressMax: 128,
  rates: {
    windowMs: 10_000,
    addressPoints: 3_000,
    accountCalls: 10_000,
    organizationCalls: 20_000,
    projectCaptures: 20_000,
    signupsPerHour: 100,
  },
};

/**
 * Concurrent streams of a trusted public connection: the default of nginx, and RFC 9113's minimum.
 */
export const publicStreamsMax = 100;
/** Flow-control window of a stream, on a trusted public connection: the default of HTTP/2. */
export const publicWindowBytes = 65_535;
/**
 * Flow-control window of a trusted public connection: with HTTP/2's default, concurrent uploads of
 * one client wait for each other.
 */
export const publicConnectionWindowBytes = 1024 * 1024;
/** Flow-control window of a stream until its connection is trusted. */
export const untrustedWindowBytes = 16 * 1_024;
/** Concurrent streams of a public connection before one of its calls has sent a live key. */
export const untrustedStreamsMax = 16;
/** TLS handshakes that begin in one turn of the event loop. */
export const handshakesPerTurn = 1;
/** Calls of untrusted connections that begin in one turn of the event loop. */
export const untrustedCallsPerTurn = 4;
/**
 * After this number of calls were refused because no points were left, an untrusted connection is
 * closed.
 */
export const refusalsPerConnectionMax = 20;
/** Ten times the largest request of the public API, at four bytes a character. */
export const publicRequestBytesMax = 256 * 1_024;
/** The largest request of a method that anyone may call; a sign-up is a tenth of that. */
export const anyoneRequestBytesMax = 16 * 1_024;
/** The largest request of a method that project tokens call, such as a capture. */
export const captureRequestBytesMax = 4 * 2 ** 20;
/** Names and values of the headers of one call. */
export const headerBytesMax = 16 * 1_024;
/** Time from the acceptance of a connection to the first bytes of HTTP/2. */
export const prefaceTimeoutMs = 10_000;
/** Time from the first header of a call to its admission or end, on the public port. */
export const requestTimeoutMs = 30_000;
/** An idle connection is closed after this time; clients reconnect when they need it. */
export const idleConnectionMs = 300_000;
/** Concurrent streams of server reflection, of the public port. */
export const reflectionSlots = {
  max: 8,
  /** After this time another stream may take the slot, whatever its address. */
  holdMs: 5_000,
};
/** Streams that a client may reset at once, and per second. */
export const resets = { burst: 200, perSecond: 50 };

/** The memory that calls may hold before their admission. */
export const unadmitted = {
  /** A stream and its state, without its headers and the bytes of its request. */
  callBytes: 8 * 1_024,
  connectionBytesMax: 4 * 2 ** 20,
  totalBytesMax: 8 * 2 ** 20,
};

/**
 * The same on a port that accepts captures: the first capture may have the maximum size, and small
 * buffers hold several times what is sent in them.
 */
export const unadmittedCaptures = {
  connectionBytesMax: 20 * 2 ** 20,
  totalBytesMax: 28 * 2 ** 20,
};

/** The same for calls with a key or project token that was accepted recently. */
export const unadmittedKnown = {
  connectionBytesMax: 32 * 2 ** 20,
  totalBytesMax: 64 * 2 ** 20,
};

/** The memory of answers that clients of the public port have not read. */
export const unread = {
  connectionBytesMax: 32 * 2 ** 20,
  totalBytesMax: 64 * 2 ** 20,
  smallBytes: 16 * 1_024,
  /** A client that reads more slowly loses a large answer. */
  slowestBytesPerSecond: 16 * 1_024,
};
