//! The image, the compose file and the ECS task definition.
