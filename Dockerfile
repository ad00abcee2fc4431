# One image for every service; docker-compose.yml says which one a container runs.
FROM node:24-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY apps apps
COPY libs libs
RUN npm run build

FROM node:24-slim
ENV NODE_ENV=production
WORKDIR /app
COPY package.json package-lock.json ./
# Optional are the database of a local cluster and Node itself: here both come from elsewhere.
RUN npm ci --omit=dev --omit=optional --ignore-scripts && npm cache clean --force
COPY --from=build /app/dist dist
RUN mkdir /data && chown node:node /data
USER node
ENV HOLDFAST_BIND=0.0.0.0 HOLDFAST_DATA_DIR=/data
EXPOSE 8080 7400 7500
CMD ["node", "--enable-source-maps", "dist/apps/gateway/src/main.js"]
