// Run once by the image of MongoDB, in mongosh, when its data are empty: one user per service, which
// reaches the service's own database only.
for (const name of ['org', 'project', 'token', 'billing']) {
  db.getSiblingDB('admin').createUser({
    user: name,
    pwd: process.env[`MONGODB_${name.toUpperCase()}_PASSWORD`],
    roles: [{ role: 'readWrite', db: `silo_${name}` }],
  });
}
