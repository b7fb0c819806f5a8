//! Objects of the object service and their uploads.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::table::Table;
use crate::error::RequestError;

/// An object, or the upload of one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Object {
    pub(crate) project_id: String,
    pub(crate) upload_id: String,
    pub(crate) expires: Timestamp,
    /// By algorithm.
    pub(crate) hashes: Map<String, Value>,
    finished: bool,
}

impl Object {
    /// Creates an upload that has not finished.
    pub(crate) fn new(project_id: &str, upload_id: &str, expires: Timestamp) -> Self {
        Self {
            project_id: project_id.to_owned(),
            upload_id: upload_id.to_owned(),
            expires,
            hashes: Map::new(),
            finished: false,
        }
    }

    /// Adds hashes. A known hash cannot change.
    fn add_hashes(&mut self, hashes: &Value) -> Result<(), RequestError> {
        for (name, value) in hashes.as_object().into_iter().flatten() {
            let known = self
                .hashes
                .entry(name.clone())
                .or_insert_with(|| value.clone());
            if known != value {
                return Err(RequestError::conflict(format!(
                    "the {name} hash of this object was already given with another value"
                )));
            }
        }
        Ok(())
    }
}

/// All objects by name.
#[derive(Debug)]
pub(crate) struct Objects(pub(super) Table<String, Object>);

impl Objects {
    /// Returns whether the upload of the object has finished.
    pub(crate) fn is_finished(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|object| object.finished)
    }

    /// Returns a finished object, or the error for an unknown one.
    pub(crate) fn finished(&self, name: &str) -> Result<&Object, RequestError> {
        let object = self.0.get(name).filter(|object| object.finished);
        object.ok_or_else(|| unknown_object(name))
    }

    /// Starts an upload. The same request may be repeated until the upload has finished.
    pub(crate) fn start(
        &mut self,
        name: &str,
        upload: &Object,
        hashes: &Value,
    ) -> Result<(), RequestError> {
        let objects = &mut self.0;
        let object = objects.get_or_insert_with(name.to_owned(), || upload.clone());
        let is_same = object.upload_id == upload.upload_id
            && object.project_id == upload.project_id
            && object.expires == upload.expires;
        if !is_same || object.finished {
            return Err(RequestError::conflict(
                "an object with this name exists or has another upload in progress",
            ));
        }
        object.add_hashes(hashes)
    }

    /// Finishes an upload.
    pub(crate) fn finish(
        &mut self,
        name: &str,
        project_id: &str,
        upload_id: &str,
        hashes: &Value,
    ) -> Result<(), RequestError> {
        let object = self.0.get_mut(&name.to_owned());
        let object = object.filter(|object| object.project_id == project_id);
        let object = object.ok_or_else(|| unknown_object(name))?;
        if object.upload_id != upload_id {
            return Err(RequestError::conflict(
                "the upload of this object has another uploadId",
            ));
        }
        object.add_hashes(hashes)?;
        object.finished = true;
        Ok(())
    }
}

fn unknown_object(name: &str) -> RequestError {
    RequestError::not_found(format!("Object {name:?} not found"))
}
