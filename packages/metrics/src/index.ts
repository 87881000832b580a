export * as Exposition from "./Exposition.ts"
export * as Registry from "./Registry.ts"
export * as Snapshots from "./Snapshots.ts"
export * as Track from "./Track.ts"
