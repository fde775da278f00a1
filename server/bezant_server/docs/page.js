SwaggerUIBundle({
  url: "/docs/openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  // Without this the page would ask a server elsewhere whether the document is valid.
  validatorUrl: null,
});
