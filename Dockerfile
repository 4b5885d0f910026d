# syntax=docker/dockerfile:1
# One image for all processes: docker-compose.yml says which command each runs.
FROM node:24.21.0-bookworm-slim AS build
WORKDIR /silo
COPY . .
# No install script is needed: Node is here already, and buf runs without. A clone may be for its owner
# alone; the image's user is another one.
RUN npm ci --ignore-scripts --no-audit --no-fund \
  && node libs/protos/generate.ts \
  && npm prune --omit=dev --ignore-scripts --no-audit --no-fund \
  && chmod -R a+rX /silo

FROM node:24.21.0-bookworm-slim
# One heap of glibc for all threads saves 18 MB per process.
ENV NODE_ENV=production MALLOC_ARENA_MAX=1
WORKDIR /silo
COPY --from=build /silo/package.json ./
COPY --from=build /silo/node_modules node_modules
COPY --from=build /silo/libs libs
COPY --from=build /silo/services services
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["node", "libs/service/check-health.ts"]
CMD ["node", "services/org/main.ts"]
